"""A terminal for Portcullis in Python, written from docs/protocol.md alone; section numbers are that page's.

It signs in, searches, downloads, checks a sealed resource, orders, runs the cycle and decrypts parts itself; it runs no
Wasm. Each command prints JSON lines. Exit status: 0, 1 for a failure, 2 for a signed refusal.

    portcullis_client.py HOME login ORIGIN ROOT-WORDS LABEL | search TEXT | install PUBLISHER/NAME FILE |
                              buy PUBLISHER/NAME OPERATION [TOKEN] | open FILE OPERATION PART OUTPUT | ask METHOD PATH
"""

import base64, hashlib, hmac, json, os, re, sys, time
from pathlib import Path
from urllib.parse import urlencode

import blake3, httpx
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.signing import SigningKey, VerifyKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

WORDS = (Path(__file__).parent / "words.txt").read_text().split()
LOCAL = ("offline", "server-untrusted", "package-invalid")
X25519, CHUNK, BLOCK = X25519PrivateKey.from_private_bytes, 65536, 1 << 20

class Invalid(Exception): """What was read is not what the protocol says."""
class Offline(Exception): """No signed answer came, so nothing was decided (section 6)."""
class Refused(Exception): """A signed no; `args[0]` is its payload."""

def require(condition, what):
    if not condition:
        raise Invalid(what)

# ── 1 Encodings
def b64(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def unb64(text, size=None, altchars=b"-_"):
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars, validate=True)
    spelt = base64.b64encode(data, altchars).rstrip(b"=").decode()
    require(spelt == text and size in (None, len(data)), "base64 is not canonical, or of a wrong length")
    return data

def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def lp(*parts): return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
def text_of(value): return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
def once(pairs):
    require(len(dict(pairs)) == len(pairs), "a member is repeated")
    return dict(pairs)

def parse(data):  # `int` refuses every number that is not an integer
    return json.loads(data, object_pairs_hook=once, parse_float=int, parse_constant=int)

def closed(value, names, ordered=False):
    """`value`, an object of exactly these members; `name?` may be absent."""
    found = list(value) if isinstance(value, dict) else []
    wanted = [name.rstrip("?") for name in names.split() if name[-1] != "?" or name[:-1] in found]
    require(found == wanted if ordered else sorted(found) == sorted(wanted), f"{found} instead of {wanted}")
    return value

# ── 2 Keys
def jwk(public): return {"crv": "Ed25519", "kty": "OKP", "x": b64(public)}
def from_jwk(value):
    require(closed(value, "crv kty x") == jwk(public := unb64(value["x"], 32)), "not an Ed25519 key")
    return public

def thumbprint(public): return sha256(text_of(jwk(public)))
def fingerprint_words(public):
    return "-".join(WORDS[byte] for byte in sha256(b"portcullis fingerprint v1", thumbprint(public))[:8])

def check_signature(public, signed, signature):
    # libsodium refuses points of small order and scalars that are not canonical.
    VerifyKey(public).verify(signed.encode(), unb64(signature, 64))

def hkdf(key, info, salt=None): return HKDF(SHA256(), 32, salt, info).derive(key)
# ── 3 Signed documents
PAYLOADS = {
    "portcullis-offer+jwt": "iss id publisher name operation title rights price iat",
    "portcullis-grant+jwt": "iss jti sub cnf resource publisher name version operation parts model limits nonce iat exp"
                            " run_max",
    "portcullis-receipt+jwt": "iss order offer publisher name operation rights price iat",
    "portcullis-refund+jwt": "iss order amount at iat",
    "portcullis-answer+jwt": "req iat body",
    "portcullis-refusal+jwt": "req iat reason detail? offers? retry_after? more?",
    "portcullis-keys+jwt": "iss version iat exp signing recipient",
    "portcullis-manifest+jws": "v publisher name version kind title description stub_digest imports exports parts "
                               "operations limits capabilities advisory_metering servers"}

def protected(public, typ): return {"alg": "EdDSA", "kid": b64(thumbprint(public)), "typ": typ}
def sign(key, header, payload):
    signed = b64(text_of(header)) + "." + b64(text_of(payload))
    return signed + "." + b64(key.sign(signed.encode()).signature)

def verify(compact, typ, keys):
    """The payload of a compact document of this type, signed by one of these keys in its time, `{key: (nbf, exp)}`."""
    require(isinstance(compact, str) and len(compact) <= 65536 and compact.count(".") == 2, "not a compact JWS")
    head, payload, signature = compact.split(".")
    public = {b64(text_of(protected(public, typ))): public for public in keys}.get(head)
    require(public, f"not a {typ} of an expected signer")
    check_signature(public, head + "." + payload, signature)
    payload, (nbf, exp) = closed(parse(unb64(payload)), PAYLOADS[typ]), keys[public]
    require(nbf <= payload["iat"] < exp, "signed before or after its key's time")
    return payload

def digest_of(compact): return b64(sha256(unb64(compact.split(".")[1])))

class Terminal:
    """A terminal of one server: its keys, what it pinned, and its requests. All state is in one file."""
    def __init__(self, home, transport=None):
        self.file, self.nonce = Path(home) / "terminal.json", None
        self.http = httpx.Client(transport=transport, follow_redirects=False, timeout=30, trust_env=False)
        if self.file.exists():
            self.load(**json.loads(self.file.read_text()))

    def load(self, **state):
        self.state, self.origin, self.root = state, state["origin"], unb64(state["root"], 32)
        self.key, self.x25519 = SigningKey(unb64(state["ed25519"])), X25519(unb64(state["x25519"]))
        self.public = bytes(self.key.verify_key)

    def save(self, **changes):
        self.state |= changes
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(f"{self.file}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 0) as file:
            file.write(text_of(self.state))
            os.fsync(file.fileno())
        os.replace(f"{self.file}.new", self.file)

    def plain(self, path):
        answer = self.http.get(self.origin + path)
        require(answer.status_code == 200, f"{path} answered {answer.status_code}")
        return parse(answer.content)

    # ── 4 The server's keys
    def trust(self, origin, believed):
        """Makes this terminal's keys and pins the root, where its words are those that the user believes."""
        self.origin = origin
        root = from_jwk(self.plain("/.well-known/portcullis")["root"])
        require(believed == fingerprint_words(root), f"the root key of {origin} is {fingerprint_words(root)}")
        seeds = {name: b64(os.urandom(32)) for name in ("ed25519", "x25519")}
        self.load(origin=origin, root=b64(root), version=0, **seeds)

    def signing_keys(self, past=False):
        """The server's keys, with their times: the current ones, or all that ever signed."""
        compact = self.plain("/.well-known/portcullis")["keys"]
        keys, now = verify(compact, "portcullis-keys+jwt", {self.root: (0, 1 << 63)}), time.time()
        require(keys["iss"] == self.origin and now < keys["exp"] <= keys["iat"] + 7 * 86400, "a stale key document")
        require(keys["version"] >= self.state["version"], "a key document older than one seen before")
        self.state["version"] = keys["version"]
        times = {from_jwk(closed(key, "jwk nbf exp")["jwk"]): (key["nbf"], key["exp"]) for key in keys["signing"]}
        return {key: (nbf, exp) for key, (nbf, exp) in times.items() if past or nbf <= now < exp}

    # ── 5 Proofs
    def send(self, method, path, body, content, token=None, key=None):
        """One request with a proof, repeated once where the server wants its nonce in it; the answer and the proof."""
        headers = {"Content-Type": content, "Authorization": token and f"DPoP {token}", "Idempotency-Key": key}
        headers, url = {name: value for name, value in headers.items() if value}, self.origin + path
        for again in (True, False):
            claims = {"jti": b64(os.urandom(16)), "htm": method, "htu": url, "iat": int(time.time()), "ik": key,
                      "nonce": self.nonce, "ath": token and b64(sha256(token.encode())), "bd": b64(sha256(body))}
            headers["DPoP"] = sign(self.key, {"alg": "EdDSA", "jwk": jwk(self.public), "typ": "dpop+jwt"},
                                   {name: value for name, value in claims.items() if value})
            answer = self.http.request(method, url, content=body, headers=headers)
            self.nonce = answer.headers.get("DPoP-Nonce", self.nonce)
            if not again or answer.status_code != 401 or "use_dpop_nonce" not in answer.text + str(answer.headers):
                return answer, headers["DPoP"]

    # ── 6 Answers
    def ask(self, method, path, body=None, key=None):
        """The body of a signed yes; `Refused` for a signed no; `Offline` for anything else."""
        key = key or (b64(os.urandom(16)) if method != "GET" else None)
        try:
            data = text_of(body) if body else b""
            answer, proof = self.send(method, path, data, body and "application/json", self.token(), key)
            typ = "portcullis-answer+jwt" if answer.status_code == 200 else "portcullis-refusal+jwt"
            said = verify(parse(answer.content).get("signed"), typ, self.signing_keys())
            require(said["req"] == b64(sha256(proof.encode())), "an answer to another request")
            require(said.get("reason") not in LOCAL, "a server cannot say this")
        except Exception as error:
            raise Offline(f"no signed answer: {error}") from error
        if "reason" in said:
            raise Refused(said)
        return said["body"]

    # ── 7 Signing in
    def oauth(self, path, **form):
        content = "application/x-www-form-urlencoded"
        return parse(self.send("POST", f"/oauth/{path}", urlencode(form).encode(), content)[0].content)

    def login(self, origin, words, label):
        self.trust(origin, words)
        device = self.oauth("device_authorization", client_id="portcullis", label=label)
        require("device_code" in device, str(device))
        code, until = device.pop("device_code"), time.time() + device["expires_in"]
        print(json.dumps({"words": fingerprint_words(self.public), **device}), flush=True)
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code}
        while "access_token" not in (answer := self.oauth("token", **grant)):
            require(answer["error"] in ("authorization_pending", "slow_down") and time.time() < until, str(answer))
            device["interval"] += 5 * (answer["error"] == "slow_down")
            time.sleep(device["interval"])
        self.token(answer)
        statement = sign(self.key, protected(self.public, "portcullis-enrolment+jwt"), {
            "jwk": jwk(self.public), "x25519": b64(self.x25519.public_key().public_bytes_raw()), "origin": self.origin,
            "root": b64(thumbprint(self.root)), "label": label, "iat": int(time.time())})
        return closed(self.ask("POST", "/v1/terminals", {"statement": statement}), "terminal account")

    def token(self, new=None):
        if not new and time.time() > self.state["until"] - 5:
            new = self.oauth("token", grant_type="refresh_token", refresh_token=self.state["refresh_token"])
        if new:
            require(new.get("token_type") == "DPoP", str(new))
            self.save(**{k: new[k] for k in ("access_token", "refresh_token")}, until=time.time() + new["expires_in"])
        return self.state["access_token"]

    # ── 8 The cycle
    def authorise(self, resource, operation, quantity=1, offer=None, nonce=b""):
        """Steps 1 and 2. Code, request and the key of step 3 are in the journal before step 3 is sent."""
        request = dict(resource=resource, operation=operation, quantity=quantity, offer=offer, nonce=b64(nonce))
        answer = closed(self.ask("POST", "/v1/authorizations", request), "code expires")
        self.save(pending={"key": b64(os.urandom(16)), "body": {"code": answer["code"], "request": request}})

    @retry(retry=retry_if_exception_type(Offline), stop=stop_after_attempt(5), wait=wait_exponential(), reraise=True)
    def verify(self, package):
        """Step 3 of what is in the journal, until it has a signed answer: the grant, checked, and the file keys."""
        pending = self.state["pending"]
        try:
            answer = self.ask("POST", "/v1/verifications", pending["body"], pending["key"])
        except Refused:
            self.save(pending=None)
            raise
        grant, keys = self.check_grant(answer, pending["body"]["request"], package)
        self.ask("POST", f"/v1/grants/{grant['jti']}/ack", {"grant": grant["jti"]})
        self.save(pending=None)
        return grant, keys

    def check_grant(self, answer, request, package):
        compact = closed(answer, "grant grant_nonce keys")["grant"]
        grant, m = verify(compact, "portcullis-grant+jwt", self.signing_keys()), package.manifest
        operation = next(entry for entry in m["operations"] if entry["name"] == request["operation"])
        mine = sha256(b"portcullis grant confirmation v1", unb64(answer["grant_nonce"], 16), thumbprint(self.public))
        wanted = {name: request[name] for name in ("resource", "operation", "nonce")} | {
            "iss": self.origin, "cnf": b64(mine), "parts": operation["parts"], "publisher": m["publisher"]["name"],
            "name": m["name"], "version": m["version"]}
        require(grant.items() >= wanted.items() and request["resource"] == package.digest, "a grant for something else")
        require(grant["exp"] >= grant["iat"], "the grant has ended")
        return grant, self.open_keys(compact, answer["keys"], grant["parts"], package)

    # ── 9 Key release
    def open_keys(self, compact, release, parts, package):
        require(closed(release, "suite enc keys")["suite"] == 1, "an unknown suite")
        require([closed(key, "part key")["part"] for key in release["keys"]] == parts, "other parts than granted")
        suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
        mine, label = KEMKey.from_pyca_cryptography_key(self.x25519), b"portcullis key release v1\x01"
        context = suite.create_recipient_context(unb64(release["enc"], 32), mine, label + sha256(compact.encode()))
        keys = {key["part"]: context.open(unb64(key["key"], 32), aad=key["part"].encode()) for key in release["keys"]}
        require(all(package.opens(part, key) for part, key in keys.items()), "a key does not open its part")
        return keys

    # ── 10 The store
    def search(self, text):
        return self.plain("/v1/search?" + urlencode({"q": text}))

    def install(self, name, path):
        """Fetches the newest version in two ranges, and checks it as a sealed resource of this store."""
        entry, data = self.plain(f"/v1/catalogue/{name}"), b""
        digest = next(version["digest"] for version in entry["versions"] if not version["withdrawn"])
        for span in ("bytes=0-99", "bytes=100-"):
            headers = {"Range": span, "If-Range": f'"{digest}"'}
            answer = self.http.get(f"{self.origin}/v1/files/{digest}", headers=headers)
            served = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            require(answer.status_code == 206 and served and int(served[1]) == len(data), "the range was not served")
            data += answer.content
        require(len(data) == int(served[2]) and answer.headers.get("ETag") == f'"{digest}"', "another file")
        package = Sealed(data)
        require((package.digest, package.publisher) == (digest, from_jwk(entry["publisher_key"])), "another resource")
        public, iat = package.countersigned[self.origin]
        nbf, exp = self.signing_keys(past=True)[public]
        require(nbf <= iat < exp, "not countersigned by its store")
        Path(path).write_bytes(data)
        return {"resource": digest, "manifest": package.manifest}

    def buy(self, name, operation, token="ok"):
        compacts, keys = self.plain(f"/v1/catalogue/{name}")["offers"], self.signing_keys(past=True)
        offers = {digest_of(compact): verify(compact, "portcullis-offer+jwt", keys) for compact in compacts}
        wanted = {"iss": self.origin, "operation": operation}.items()
        digest, offer = next(pair for pair in offers.items() if pair[1].items() >= wanted)
        order = self.ask("POST", "/v1/orders", {"offer": digest, "payment": {"provider": "sandbox", "token": token}})
        if closed(order, "order state receipt")["receipt"]:
            order["receipt"] = verify(order["receipt"], "portcullis-receipt+jwt", self.signing_keys())
            wanted = {name: offer[name] for name in ("iss", "publisher", "name", "operation", "rights", "price")}
            wanted |= {"offer": digest, "order": order["order"]}
            require(order["receipt"].items() >= wanted.items(), "a receipt for something else")
        return order

    def open(self, path, operation, part, output):
        """Runs the cycle for an operation, or what is left of one, and decrypts one part of what it grants."""
        package = Sealed(Path(path).read_bytes())
        if not self.state.get("pending"):
            self.authorise(package.digest, operation, nonce=os.urandom(8))
        grant, keys = self.verify(package)
        Path(output).write_bytes(package.clear(part, keys[part]))
        return {"grant": grant}

# ── 12 The sealed resource
class Sealed:
    """A sealed resource, checked in the order of section 12 up to its block lists."""
    def __init__(self, data):
        self.data, self.sections, self.stub, at = data, {}, len(data), 8
        require(data[:8] == b"\0asm\x0d\0\x01\0", "not a component")
        while at < len(data):
            start, (size, body), name = at, self.leb(at + 1), ""
            require((at := body + size) <= len(data), "a section is cut short")
            if data[start] == 0:
                length, text = self.leb(body)
                name, body = data[text:text + length].decode(errors="replace"), text + length
            require(body <= at and name not in self.sections, "a section is repeated, or its name is cut short")
            if name.startswith("portcullis:") or self.sections:
                self.sections[name], self.stub = data[body:at], min(start, self.stub)
        self.read_manifest(self.sections.get("portcullis:manifest", b""))
        require(self.stub <= 4 << 20 and b64(sha256(data[:self.stub])) == self.manifest["stub_digest"], "another stub")
        names = [f"portcullis:{kind}/{part}" for part in self.parts for kind in ("blocks", "part")]
        require(list(self.sections) == ["portcullis:manifest", *names], "other sections than the manifest's parts")
        for name, part in self.parts.items():
            blocks, payload = self.sections[f"portcullis:blocks/{name}"], self.age(name)[2]
            length = 16 + part["size"] + 16 * max(1, -(-part["size"] // CHUNK))
            require(len(payload) == length and len(blocks) == 32 * -(-length // BLOCK), "a part is of another size")
            commitment = sha256(b"portcullis part commitment v1", length.to_bytes(8, "big"), blocks)
            require(b64(commitment) == part["commitment"], f"the block list of {name} is another")

    def leb(self, at):
        """An unsigned LEB128 number of minimal length, and where it ends."""
        end = next((end for end in range(at, min(at + 5, len(self.data))) if self.data[end] < 128), at)
        require(at < len(self.data) and (end == at or self.data[end]) and self.data[end] < 128, "not minimal LEB128")
        return sum((self.data[i] & 127) << 7 * (i - at) for i in range(at, end + 1)), end + 1

    def read_manifest(self, text):
        jws = closed(parse(text), "payload signatures", True)
        require(text_of(jws) == text and len(text) <= 256 << 10, "the manifest is not canonical, or too long")
        self.digest, self.countersigned = b64(sha256(payload := unb64(jws["payload"]))), {}
        self.manifest = m = closed(parse(payload), PAYLOADS["portcullis-manifest+jws"], True)
        self.publisher = from_jwk(closed(closed(m["publisher"], "name jwk", True)["jwk"], "crv kty x", True))
        closed(m["limits"], "memory? run_max? result? output?", True)
        closed(m["capabilities"], "wall_clock environment directories", True)
        require(all(closed(server, "origin root", True) for server in m["servers"]), "no server")
        parts = [closed(part, "name kind media_type size commitment binding public", True) for part in m["parts"]]
        self.parts = {part["name"]: part for part in parts}
        operations = [closed(entry, "name title exports parts", True) for entry in m["operations"]]
        require({part for entry in operations for part in entry["parts"]} <= set(self.parts), "an unknown part")
        require(text_of(m) == payload and m["v"] == 1, "the payload is not canonical")
        for index, entry in enumerate(jws["signatures"]):
            head = parse(unb64(closed(entry, "protected signature", True)["protected"]))
            public, typ = self.publisher, "portcullis-manifest+jws"
            if index:
                public = from_jwk(closed(head, "alg iat iss jwk typ", True)["jwk"])
                self.countersigned[head["iss"]], typ = (public, head["iat"]), "portcullis-countersignature+jws"
            wanted = {**head, "alg": "EdDSA", "typ": typ} if index else protected(public, typ)
            require(b64(text_of(wanted)) == entry["protected"], "a signature's header is not canonical")
            check_signature(public, entry["protected"] + "." + jws["payload"], entry["signature"])
        require(len(jws["signatures"]) == len(self.countersigned) + 1 <= 16, "none, too many, or two of one server")

    def age(self, part):
        """A part's age header up to its MAC, the MAC, and the payload."""
        file = self.sections[f"portcullis:part/{part}"]
        form = rb"(age-encryption\.org/v1\n(?:-> X25519 [^\n]{43}\n[^\n]{43}\n){1,20}---) ([^\n]{43})\n"
        head = re.match(form, file[:8192])
        require(head, f"the age header of {part} is damaged")
        return head[1], unb64(head[2].decode(), 32, b"+/"), file[head.end():]

    def opens(self, part, key):
        """Does this file key open the header's MAC, and does it bind the part to this manifest?"""
        (header, mac, _), m, entry = self.age(part), self.manifest, self.parts[part]
        binding = hmac.digest(hkdf(key, b"portcullis part binding v1"), lp(
            thumbprint(self.publisher), m["name"].encode(), m["version"].encode(), part.encode(),
            unb64(entry["commitment"])), "sha256")
        return hmac.compare_digest(mac, hmac.digest(hkdf(key, b"header"), header, "sha256")) and hmac.compare_digest(
            binding, unb64(entry["binding"], 32))

    def clear(self, part, key):
        """The plaintext, each block checked before its chunks are opened."""
        payload, blocks, clear = self.age(part)[2], self.sections[f"portcullis:blocks/{part}"], b""
        for at in range(0, len(payload), BLOCK):
            digest = blocks[at // BLOCK * 32:][:32]
            require(blake3.blake3(payload[at:at + BLOCK]).digest() == digest, f"a block of {part} is damaged")
        cipher, chunks = ChaCha20Poly1305(hkdf(key, b"payload", payload[:16])), range(16, len(payload), CHUNK + 16)
        for index, at in enumerate(chunks):
            nonce = index.to_bytes(11, "big") + bytes([at == chunks[-1]])
            clear += cipher.decrypt(nonce, payload[at:at + CHUNK + 16], None)
        return clear

def main(home, verb, *rest):
    try:
        said, status = getattr(Terminal(home), verb)(*rest), 0
    except Refused as no:
        said, status = {"refusal": no.args[0]}, 2
    except Exception as error:
        said, status = {"error": type(error).__name__, "detail": str(error)}, 1
    print(json.dumps(said))
    return status

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
