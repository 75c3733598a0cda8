"""A merchant of electronic codes in Python, from docs/protocol.md (whose section numbers these are) and docs/codes.md.

It seals exactly one code per order: everything is in an SQLite file before anybody hears of it. It prints JSON lines.

    merchant.py HOME register ORIGIN ROOT-WORDS NAME TITLE WEBHOOK | sell PRODUCT TITLE MINOR CURRENCY SECONDS |
                     stock PRODUCT CODE… | serve | orders
"""

import base64, hashlib, json, os, sqlite3, sys, threading, time
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from wsgiref.simple_server import make_server

import httpx
from nacl import exceptions, signing
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

WORDS = (Path(__file__).parent / "words.txt").read_text().split()
SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
TRANSIENT = retry_if_exception_type((httpx.HTTPError, KeyError, ValueError, exceptions.CryptoError))
SCHEMA = """PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS product (digest TEXT PRIMARY KEY, said TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, product TEXT NOT NULL, code TEXT NOT NULL UNIQUE, ord TEXT);
CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS ord (id TEXT PRIMARY KEY, nonce TEXT, state TEXT NOT NULL, note TEXT);
CREATE TABLE IF NOT EXISTS sealing (ord TEXT, generation INTEGER, body TEXT NOT NULL, PRIMARY KEY (ord, generation));"""

class No(Exception): """What was read is not what the protocol says, or the store says no."""
def require(condition, what):
    if not condition:
        raise No(what)

# ── 1 Encodings, 2 Keys, 3 Signed documents
def b64(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def unb64(text, size=None):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    require(b64(data) == text and size in (None, len(data)), "base64url is not canonical, or of a wrong length")
    return data
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def lp(data): return len(data).to_bytes(8, "big") + data
def text_of(value): return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
def jwk(key): return {"crv": "Ed25519", "kty": "OKP", "x": b64(bytes(key))}
def thumbprint(key): return sha256(text_of(jwk(key)))
def words(key): return "-".join(WORDS[byte] for byte in sha256(b"portcullis fingerprint v1", thumbprint(key))[:8])
def header(key, name): return {"alg": "EdDSA", "kid": b64(thumbprint(key)), "typ": f"portcullis-{name}+jwt"}
def payload(compact): return unb64(compact.split(".")[1])
def digest(compact): return b64(sha256(payload(compact)))
def sign(key, head, said):
    signed = b64(text_of(head)) + "." + b64(text_of(said))
    return signed + "." + b64(key.sign(signed.encode()).signature)
def document(key, typ, **said): return sign(key, header(key.verify_key, typ), said | {"iat": int(time.time())})
def verify(compact, name, keys, **wanted):
    """The payload of a document of this type, signed by one of these keys in its time, `{key: (nbf, exp)}`."""
    require(isinstance(compact, str) and len(compact) <= 65536 and compact.count(".") == 2, "not a compact JWS")
    head, _, signature = compact.split(".")
    key = next((key for key in keys if b64(text_of(header(key, name))) == head), None)
    require(key, f"not a {name} of an expected signer")
    signing.VerifyKey(key).verify(compact.rpartition(".")[0].encode(), unb64(signature, 64))
    said = json.loads(payload(compact))
    require(keys[key][0] <= said["iat"] + 300 and said["iat"] < keys[key][1], "not signed in its key's time")
    require(all(said.get(member) == value for member, value in wanted.items()), f"a {name} for something else")
    return said

class Store:
    """The store, for the holder of a key (sections 4 to 6)."""
    def __init__(self, origin, root, key):
        self.origin, self.root, self.key, self.nonce, self.version = origin, root, key, None, 0
        self.http = httpx.Client(timeout=30, follow_redirects=False, trust_env=False)
    def keys(self):
        compact = self.http.get(self.origin + "/.well-known/portcullis").json()["keys"]
        said = verify(compact, "keys", {self.root: (0, 1 << 63)}, iss=self.origin)
        require(time.time() < said["exp"] <= said["iat"] + 7 * 86400, "a key document that has ended")
        require(said["version"] >= self.version, "a key document older than one seen before")
        self.version = said["version"]
        return {unb64(key["jwk"]["x"], 32): (key["nbf"], key["exp"]) for key in said["signing"]}
    def send(self, method, path, body, content, token=None, once=None):
        head, url = {"alg": "EdDSA", "jwk": jwk(self.key.verify_key), "typ": "dpop+jwt"}, self.origin + path
        for _ in range(2):
            claims = {"jti": b64(os.urandom(16)), "htm": method, "htu": url, "iat": int(time.time()), "ik": once,
                      "nonce": self.nonce, "ath": token and b64(sha256(token.encode())), "bd": b64(sha256(body))}
            proof = sign(self.key, head, {name: value for name, value in claims.items() if value})
            headers = {"DPoP": proof, "Content-Type": content} | ({"Idempotency-Key": once} if once else {})
            headers |= {"Authorization": f"DPoP {token}"} if token else {}
            answer = self.http.request(method, url, content=body, headers=headers)
            self.nonce = answer.headers.get("DPoP-Nonce", self.nonce)
            if answer.status_code != 401 or "use_dpop_nonce" not in answer.text + str(answer.headers):
                break
        return answer, proof
    def form(self, path, **fields):
        return self.send("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")[0].json()
    def ask(self, method, path, body=None, token=None):
        """The body of a signed yes; an exception for a no; asked again for a minute while there is neither."""
        once, data = None if method == "GET" else b64(os.urandom(16)), b"" if body is None else text_of(body)
        for attempt in Retrying(retry=TRANSIENT, stop=stop_after_delay(60), wait=wait_fixed(1), reraise=True):
            with attempt:
                answer, proof = self.send(method, path, data, "application/json", token, once)
                said, status, req = answer.json(), answer.status_code, b64(sha256(proof.encode()))
                require("signed" in said or status == 409 or not 400 <= status < 500, said.get("detail"))
                said = verify(said["signed"], "answer" if status == 200 else "refusal", self.keys(), req=req)
                require("reason" not in said, json.dumps(said))
                return said["body"]

class Merchant:
    def __init__(self, home):
        self.home, self.work = Path(home), threading.Event()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.__dict__ |= dict(self.read("SELECT name, value FROM setting"))
        if hasattr(self, "origin"):
            self.key = signing.SigningKey(unb64((self.home / "merchant.key").read_text(), 32))
            self.store = Store(self.origin, unb64(self.root, 32), self.key)
    def write(self, job):
        db = sqlite3.connect(self.home / "shop.db", timeout=30, isolation_level=None)
        db.executescript(SCHEMA + "BEGIN IMMEDIATE;")
        done = job(db)
        db.execute("COMMIT")  # what is returned is on the disk
        return done
    def read(self, sql, *values): return self.write(lambda db: db.execute(sql, values).fetchall())
    # ── 7 Signing in, 15 Merchants
    def register(self, origin, told, name, title, webhook):
        root = unb64(httpx.get(origin + "/.well-known/portcullis", trust_env=False).json()["root"]["x"], 32)
        require(told == words(root), f"the root key of {origin} is {words(root)}")
        if not (file := self.home / "merchant.key").exists():
            file.touch(0o600), file.write_text(b64(os.urandom(32)))
        rows = {"origin": origin, "root": b64(root), "name": name, "webhook": webhook}.items()
        self.write(lambda db: db.executemany("REPLACE INTO setting VALUES (?, ?)", rows))
        self.__init__(self.home)
        store = Store(origin, root, terminal := signing.SigningKey.generate())
        device = store.form("/oauth/device_authorization", client_id="portcullis", label="merchant.py")
        grant = {"device_code": device.pop("device_code"), "grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
        print(json.dumps({"words": words(terminal.verify_key), **device}), flush=True)
        while "access_token" not in (tokens := store.form("/oauth/token", **grant)):
            require(tokens["error"] in ("authorization_pending", "slow_down"), str(tokens))
            device["interval"] += 5 * (tokens["error"] == "slow_down")
            time.sleep(device["interval"])
        x25519 = b64(b"\x09" + bytes(31))  # the base point: this terminal opens nothing
        said = {"jwk": jwk(terminal.verify_key), "x25519": x25519, "origin": origin, "root": b64(thumbprint(root))}
        statement = document(terminal, "enrolment", **said, label="merchant.py")
        said = {"name": name, "title": title, "jwk": jwk(self.key.verify_key), "origin": origin, "webhook": webhook}
        store.ask("POST", "/v1/terminals", {"statement": statement}, tokens["access_token"])
        store.ask("POST", "/v1/merchants", {"claim": document(self.key, "merchant", **said)}, tokens["access_token"])
        store.form("/oauth/revoke", token=tokens["refresh_token"])
        threading.Thread(target=self.serve, daemon=True).start()
        return self.store.ask("POST", "/v1/merchant/ownership", {})
    def document(self, typ, **said): return document(self.key, typ, merchant=self.name, aud=self.origin, **said)
    def sell(self, name, title, minor, currency, seconds):
        price = {"minor_units": int(minor), "currency": currency}
        product = self.document("product", name=name, title=title, description="", price=price, deadline=int(seconds))
        self.read("INSERT INTO product VALUES (?, ?)", digest(product), payload(product).decode())
        return self.store.ask("PUT", "/v1/merchant/products", {"product": product})
    def stock(self, product, *codes):
        return [self.read("INSERT INTO stock (product, code) VALUES (?, ?)", product, code) for code in codes]
    def orders(self): return self.read("SELECT id, state, note FROM ord")
    # ── 15 First interface
    def hear(self, name, at, given, body):
        require(name and abs(int(at) - time.time()) <= 300, "the time is more than five minutes off")
        keys, signed = self.store.ask("GET", "/v1/merchant")["keys"], f"{name}.{at}.".encode() + body
        require(any(fits(key, signed, one) for key in keys for one in given.split()), "no signature verifies")
        said = json.loads(body)
        require((said["iss"], said["aud"]) == (self.origin, self.webhook), "for somebody else")
        kind, data, own = said["type"], said["data"], {"merchant": self.name, "url": self.webhook}
        if kind == "endpoint.challenge":
            own |= {"challenge": data["challenge"], "platform": self.origin}
            return {"ownership": document(self.key, "ownership", **own)}
        if kind in ("order.paid", "order.reseal", "order.closed"):
            sql = ("INSERT INTO ord VALUES (?, ?, 'open', '') ON CONFLICT (id) DO UPDATE SET state = 'open', "
                   "nonce = coalesce(excluded.nonce, nonce)")
            self.write(lambda db: db.execute("INSERT OR IGNORE INTO message VALUES (?)", (name,)).rowcount
                       and db.execute(sql, (data["order"], data.get("nonce"))))
            self.work.set()
        return {}
    # ── 15 Second interface, Sealing
    def advance(self, order, nonce):
        """Takes an order forward by what the store says of it now. Returns its state here, and a note."""
        path, this = f"/v1/merchant/orders/{order}", {"merchant": self.name, "iss": self.origin, "order": order}
        seen = self.store.ask("GET", path)
        if compact := seen.get("document"):
            if "order-refunded" in json.loads(unb64(compact.split(".")[0]))["typ"]:
                verify(compact, "order-refunded", self.store.keys(), **this)
                self.read("UPDATE stock SET ord = NULL WHERE ord = ?", order)  # no code was ever accepted
                return "refunded", compact
            said = verify(compact, "code-accepted", self.store.keys(), **this)
            if said.get("reversed") or said["generation"] == seen["generation"]:
                return "reversed" if said.get("reversed") else "accepted", compact
        compact = self.store.ask("POST", "/v1/merchant/verifications", {"order": order, "nonce": nonce})["verification"]
        said = verify(compact, "verification", self.store.keys(), **this, request=None)
        if not (body := self.write(lambda db: self.sealed(db, said, digest(compact)))):
            self.store.ask("POST", f"{path}/decline", {"reason": "Sold out, or not sold on these terms."})
            return "open", "declined"
        mine = b64(sha256(unb64(body["enc"]), unb64(body["ciphertext"])))
        accepted = self.store.ask("POST", "/v1/merchant/codes", body)["accepted"]
        verify(accepted, "code-accepted", self.store.keys(), **this, generation=said["generation"], ciphertext=mine)
        return "accepted", accepted
    def sealed(self, db, said, verification):
        """What is sent: as it was sealed before, or sealed now, from the stock. None if the order cannot be served."""
        order, generation, count = said["order"], said["generation"], said["quantity"]
        for (body,) in db.execute("SELECT body FROM sealing WHERE ord = ? AND generation = ?", (order, generation)):
            return json.loads(body)
        product = {"name": None, "price": {"minor_units": 0}}  # one that is not ours has no codes
        for (known,) in db.execute("SELECT said FROM product WHERE digest = ?", (said["product"],)):
            product = json.loads(known)
        has = "SELECT code FROM stock WHERE ord = ? ORDER BY id"
        if not db.execute(has, (order,)).fetchone():
            free = "SELECT id FROM stock WHERE product = ? AND ord IS NULL ORDER BY id LIMIT ?"
            db.execute(f"UPDATE stock SET ord = ? WHERE id IN ({free})", (order, product["name"], count))
        codes, price = [code for (code,) in db.execute(has, (order,))], product["price"]
        if len(codes) != count or said["amount"] != price | {"minor_units": price["minor_units"] * count}:
            return db.execute("UPDATE stock SET ord = NULL WHERE ord = ?", (order,)) and None
        info = lp(unb64(order, 16)) + lp(self.name.encode()) + generation.to_bytes(4, "big") + unb64(verification, 32)
        recipient = SUITE.kem.deserialize_public_key(unb64(said["recipient"], 32))
        enc, context = SUITE.create_sender_context(recipient, b"portcullis code v1\x01" + info)
        ciphertext = context.seal(text_of({"codes": codes}))
        code = self.document("sealed-code", order=order, generation=generation, verification=verification,
                             recipient=said["recipient"], ciphertext=b64(sha256(enc, ciphertext)))
        body = {"code": code, "enc": b64(enc), "ciphertext": b64(ciphertext)}
        db.execute("INSERT INTO sealing VALUES (?, ?, ?)", (order, generation, json.dumps(body)))
        return body
    def worker(self):
        while True:
            self.work.clear()
            for order, nonce in self.read("SELECT id, nonce FROM ord WHERE state = 'open'"):
                try:
                    state, note = self.advance(order, nonce)
                except Exception as error:  # tried again; `orders` shows it
                    state, note = "open", f"{type(error).__name__}: {error}"[:300]
                self.read("UPDATE ord SET state = ?, note = ? WHERE id = ? AND nonce IS ?", state, note, order, nonce)
            self.work.wait(2)
    def serve(self):
        def answer(environ, start):
            headers = [environ.get(f"HTTP_WEBHOOK_{part}", "") for part in ("ID", "TIMESTAMP", "SIGNATURE")]
            try:
                body = environ["wsgi.input"].read(min(int(environ["CONTENT_LENGTH"]), 65536))
                said, status = self.hear(*headers, body), "200 OK"
            except Exception as error:  # what is not forged comes again
                said, status = {"error": str(error)}, "401 Refused" if isinstance(error, No) else "503 Later"
            start(status, [("content-type", "application/json")])
            return [text_of(said)]
        threading.Thread(target=self.worker, daemon=True).start()
        make_server("127.0.0.1", urlsplit(self.webhook).port, answer).serve_forever()
def fits(key, signed, one):
    try:  # of the two schemes, the one that needs no secret
        public = signing.VerifyKey(base64.b64decode(key["v1a"].removeprefix("whpk_")))
        return one.startswith("v1a,") and public.verify(signed, base64.b64decode(one[4:]))
    except (exceptions.CryptoError, ValueError):
        return False

if __name__ == "__main__":
    print(json.dumps(getattr(Merchant(sys.argv[1]), sys.argv[2])(*sys.argv[3:])))
