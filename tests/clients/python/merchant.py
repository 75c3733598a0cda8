"""A merchant of electronic codes in Python, from docs/protocol.md (whose section numbers these are) and docs/codes.md.

One code per order: it is in an SQLite file before anybody hears of it, in the clear, for the owner of HOME alone. HOME
has the key that `portcullis merchant keygen` made; `portcullis merchant register` claims the name while `serve` runs.
    merchant.py HOME init ORIGIN ROOT-WORDS NAME WEBHOOK | serve | sell PRODUCT TITLE MINOR CURRENCY SECONDS |
                     stock PRODUCT < CODES | orders
"""
import base64, hashlib, hmac, json, os, sqlite3, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
import httpx
from nacl import exceptions, signing
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

WORDS = (Path(__file__).parent / "words.txt").read_text().split()
SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
UNREADABLE = (KeyError, ValueError, TypeError, exceptions.CryptoError)
TRANSIENT = retry_if_exception_type((httpx.HTTPError, *UNREADABLE))
SCHEMA = """PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS product (digest TEXT PRIMARY KEY, said TEXT, ended REAL);
CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, product TEXT, code TEXT UNIQUE, ord TEXT);
CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS nonce (ord TEXT, nonce TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS ord (id TEXT PRIMARY KEY, state TEXT, due REAL, terms TEXT, note TEXT);
CREATE TABLE IF NOT EXISTS sealing (ord TEXT, generation INT, body TEXT, accepted TEXT, UNIQUE (ord, generation));"""
class No(Exception): """What was read is not what the protocol says, or the store says no."""
class Unserved(No): """An order is not on this shop's terms, or sold out."""
class Stuck(No): """The store has signed what an honest store does not: a person has to look."""
def require(condition, what, kind=No):
    if not condition: raise kind(what)
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
    key = {b64(text_of(header(key, name))): key for key in keys}[head]  # of an expected signer, of this type
    signing.VerifyKey(key).verify(compact.rpartition(".")[0].encode(), unb64(signature, 64))
    said = json.loads(payload(compact))
    require(keys[key][0] <= said["iat"] + 300 and said["iat"] < keys[key][1], "not signed in its key's time")
    require(all(said.get(member) == value for member, value in wanted.items()), f"a {name} for something else")
    return said
class Merchant:
    def __init__(self, home):
        os.umask(0o077)
        self.home, self.work, self.asked, self.nonce = Path(home), threading.Event(), 0.0, None
        require(not self.home.stat().st_mode & 0o077, f"others can look into {home}: chmod 700 {home}")
        self.key = signing.SigningKey(unb64(json.loads((self.home / "merchant.jwk").read_text())["d"], 32))
        self.origin, self.root, self.name, self.webhook = map(self.setting, ("origin", "root", "name", "webhook"))
        self.http = httpx.Client(timeout=10, follow_redirects=False, trust_env=False)
    def write(self, job):
        with sqlite3.connect(self.home / "shop.db", timeout=30, isolation_level=None) as db:
            db.executescript(SCHEMA + "BEGIN IMMEDIATE;")
            return job(db)  # committed before it is returned; an exception leaves nothing
    def read(self, sql, *values): return self.write(lambda db: db.execute(sql, values).fetchall())
    def setting(self, name): return dict(self.read("SELECT name, value FROM setting")).get(name)
    def keep(self, **rows): self.write(lambda db: db.executemany("REPLACE INTO setting VALUES (?, ?)", rows.items()))
    def init(self, origin, told, name, webhook):
        root = unb64(self.http.get(origin + "/.well-known/portcullis").json()["root"]["x"], 32)
        require(told == words(root), f"the root key of {origin} is {words(root)}")
        self.keep(origin=origin, root=b64(root), name=name, webhook=webhook)
    # ── 4 The server's keys, 5 Proofs, 6 Answers
    def keys(self):
        compact = self.http.get(self.origin + "/.well-known/portcullis").json()["keys"]
        said = verify(compact, "keys", {unb64(self.root, 32): (0, 1 << 63)}, iss=self.origin)
        require(time.time() < said["exp"] <= said["iat"] + 7 * 86400, "a key document that has ended")
        require(said["version"] >= (self.setting("version") or 0), "a key document older than one seen before")
        self.keep(version=said["version"])
        return {unb64(key["jwk"]["x"], 32): (key["nbf"], key["exp"]) for key in said["signing"]}
    def ask(self, method, path, body=None, unless=None):
        """The body of a signed yes; nothing if that no was expected; asked again for a minute if there is neither."""
        once, data, url = b64(os.urandom(16)), b"" if body is None else text_of(body), self.origin + path
        own, sent = ({}, {}) if method == "GET" else ({"ik": once}, {"Idempotency-Key": once})
        for attempt in Retrying(retry=TRANSIENT, stop=stop_after_delay(60), wait=wait_fixed(1), reraise=True):
            with attempt:
                for _ in range(2):
                    claims = {"jti": b64(os.urandom(16)), "htm": method, "htu": url, "iat": int(time.time()), **own,
                              "bd": b64(sha256(data))} | ({"nonce": self.nonce} if self.nonce else {})
                    head = {"alg": "EdDSA", "jwk": jwk(self.key.verify_key), "typ": "dpop+jwt"}
                    headers = {"DPoP": sign(self.key, head, claims), "Content-Type": "application/json"} | sent
                    answer = self.http.request(method, url, content=data, headers=headers)
                    self.nonce = answer.headers.get("DPoP-Nonce", self.nonce)
                    if answer.status_code != 401 or "use_dpop_nonce" not in answer.text + str(answer.headers): break
                said, status, req = answer.json(), answer.status_code, b64(sha256(headers["DPoP"].encode()))
                require("signed" in said or status == 409 or not 400 <= status < 500, said.get("detail"))
                said = verify(said["signed"], "answer" if status == 200 else "refusal", self.keys(), req=req)
                require(said.get("reason") in (None, unless), json.dumps(said))
                return said.get("body")
    # ── 15 Merchants, First interface
    def document(self, typ, **said): return document(self.key, typ, merchant=self.name, **said)
    def sell(self, name, title, minor, currency, seconds):
        price, own = {"minor_units": int(minor), "currency": currency}, {"aud": self.origin, "description": ""}
        product = self.document("product", name=name, title=title, price=price, deadline=int(seconds), **own)
        self.read("UPDATE product SET ended = ? WHERE ended IS NULL AND said ->> 'name' = ?", time.time(), name)
        self.read("INSERT INTO product VALUES (?, ?, NULL)", digest(product), payload(product).decode())
        return self.ask("PUT", "/v1/merchant/products", {"product": product})
    def stock(self, product):
        rows = [(product, line.rstrip("\r\n")) for line in sys.stdin if line.strip()]
        return self.write(lambda db: db.executemany("INSERT INTO stock (product, code) VALUES (?, ?)", rows).rowcount)
    def orders(self): return self.read("SELECT id, state, note FROM ord")
    def hear(self, headers, body):
        name, at, given = (headers[f"webhook-{part}"] or "" for part in ("id", "timestamp", "signature"))
        require(name and abs(int(at) - time.time()) <= 300, "the time is more than five minutes off")
        signed, keys = f"{name}.{at}.".encode() + body, lambda: json.loads(self.setting("keys") or "[]")
        fits = lambda: any(by(key, signed, one) for key in keys() for one in given.split())
        if not fits() and time.time() - self.asked > 2:  # a forged message costs no more than that
            self.asked = time.time()
            self.keep(keys=json.dumps(self.ask("GET", "/v1/merchant")["keys"]))
        require(fits(), "no signature verifies")
        said = json.loads(body)
        require((said["iss"], said["aud"]) == (self.origin, self.webhook), "for somebody else")
        if said["type"] == "endpoint.challenge":
            own = {"challenge": said["data"]["challenge"], "url": self.webhook, "platform": self.origin}
            return {"ownership": self.document("ownership", **own)}
        if said["type"] in ("order.paid", "order.reseal", "order.closed"):
            self.write(lambda db: self.told(db, name, b64(unb64(said["data"]["order"], 16)), said["data"].get("nonce")))
            self.work.set()
        return {}
    def told(self, db, message, order, nonce):  # messages come in any order, so that every nonce is kept
        if db.execute("INSERT OR IGNORE INTO message VALUES (?)", (message,)).rowcount:
            db.execute("INSERT OR IGNORE INTO nonce VALUES (?, ?)", (order, nonce))
            again = "UPDATE SET state = 'open', due = due - 9 WHERE state IN ('open', 'accepted')"
            db.execute(f"INSERT INTO ord (id, state, due) VALUES (?, 'open', 0) ON CONFLICT (id) DO {again}", (order,))
    # ── 15 Second interface, Sealing
    def advance(self, order):
        """Takes an order forward by what the store says of it now. Returns its state here, and a note."""
        path, this = f"/v1/merchant/orders/{order}", {"merchant": self.name, "iss": self.origin, "order": order}
        seen = self.ask("GET", path)
        if compact := seen.get("document"):
            if "order-refunded" in json.loads(unb64(compact.split(".")[0]))["typ"]:
                verify(compact, "order-refunded", self.keys(), **this)
                accepted = self.read("SELECT accepted FROM sealing WHERE ord = ? AND accepted IS NOT NULL", order)
                require(not accepted, f"both are signed: {accepted}, {compact}", Stuck)
                return "refunded", compact  # what was sealed may have been sent: it is not sold again
            said = self.accepted(compact, this)
            if said.get("reversed") or said["generation"] == seen["generation"]:
                return "reversed" if said.get("reversed") else "accepted", compact
        if seen["state"] not in ("paid", "notified", "verified", "code-received", "delivered"):
            return "accepted" if compact else "open", seen["state"]
        for (nonce,) in self.read("SELECT nonce FROM nonce WHERE ord = ? AND nonce > '' ORDER BY rowid DESC", order):
            if told := self.ask("POST", "/v1/merchant/verifications", dict(order=order, nonce=nonce), "order-unknown"):
                break
        else:
            return "open", "no nonce is in force"
        said = verify(told["verification"], "verification", self.keys(), **this, request=None)
        try:
            body = self.write(lambda db: self.sealed(db, said, digest(told["verification"])))
        except Unserved as why:
            return "open", json.dumps(self.ask("POST", f"{path}/decline", {"reason": str(why)}))
        compact = self.ask("POST", "/v1/merchant/codes", body)["accepted"]
        require(self.accepted(compact, this)["generation"] == said["generation"], "an answer for another sealing")
        return "accepted", compact
    def accepted(self, compact, this):
        said, sql = verify(compact, "code-accepted", self.keys(), **this), "WHERE ord = ? AND generation = ?"
        own = self.read(f"SELECT body FROM sealing {sql}", this["order"], said["generation"])
        own = [sha256(unb64(json.loads(body)["enc"]), unb64(json.loads(body)["ciphertext"])) for (body,) in own]
        require(own == [unb64(said["ciphertext"], 32)], f"it was not sealed here: {compact}", Stuck)
        self.read(f"UPDATE sealing SET accepted = ? {sql}", compact, this["order"], said["generation"])
        return said
    def sealed(self, db, said, verification):
        """What is sent: as it was sealed before, or sealed now. An exception rolls back what was taken for it."""
        order, generation, count = said["order"], said["generation"], said["quantity"]
        terms = text_of([said["product"], count, said["amount"]]).decode()
        state, known = db.execute("SELECT state, terms FROM ord WHERE id = ?", (order,)).fetchone()
        require(state in ("open", "accepted"), "a code is asked for an order that is over", Stuck)
        require(known in (None, terms), "a later sealing is asked for on other terms", Stuck)
        for (body,) in db.execute("SELECT body FROM sealing WHERE ord = ? AND generation = ?", (order, generation)):
            return json.loads(body)
        if not known:
            product = db.execute("SELECT said, ended FROM product WHERE digest = ?", (said["product"],)).fetchone()
            require(product, "The product is not one of this shop.", Unserved)
            begun = int.from_bytes(unb64(order, 16)[:6], "big") / 1000  # clocks differ, and pages stay open: an hour
            require(begun <= (product[1] or begun) + 3600, "an order on terms that had ended before it", Stuck)
            name, price = (json.loads(product[0])[member] for member in ("name", "price"))
            price["minor_units"] *= count
            require(said["amount"] == price, "The amount is not what the shop asks.", Unserved)
            free = "SELECT id FROM stock WHERE product = ? AND ord IS NULL ORDER BY id LIMIT ?"
            taken = db.execute(f"UPDATE stock SET ord = ? WHERE id IN ({free})", (order, name, count)).rowcount
            require(taken == count, "Sold out.", Unserved)
            db.execute("UPDATE ord SET terms = ? WHERE id = ?", (terms, order))
        codes = [code for (code,) in db.execute("SELECT code FROM stock WHERE ord = ? ORDER BY id", (order,))]
        info = lp(unb64(order, 16)) + lp(self.name.encode()) + generation.to_bytes(4, "big") + unb64(verification, 32)
        recipient = SUITE.kem.deserialize_public_key(unb64(said["recipient"], 32))
        enc, context = SUITE.create_sender_context(recipient, b"portcullis code v1\x01" + info)
        ciphertext = context.seal(text_of({"codes": codes}))
        own = {"recipient": said["recipient"], "ciphertext": b64(sha256(enc, ciphertext)), "verification": verification}
        code = self.document("sealed-code", aud=self.origin, order=order, generation=generation, **own)
        body = {"code": code, "enc": b64(enc), "ciphertext": b64(ciphertext)}
        db.execute("INSERT INTO sealing VALUES (?, ?, ?, NULL)", (order, generation, json.dumps(body)))
        return body
    def forward(self, order, was):
        try:
            state, note = self.advance(order)
        except Exception as error:
            state, note = "stuck" if isinstance(error, Stuck) else "open", f"{type(error).__name__}: {error}"
        sql = "UPDATE ord SET state = ?, note = ?, due = ? WHERE id = ? AND due = ?"  # unless told more since
        self.read(sql, state, note, time.time() + 5, order, was)
    def worker(self):
        pool, ways = ThreadPoolExecutor(8), {}  # one order that hangs holds its own place alone
        while True:
            self.work.clear()
            ways = {order: way for order, way in ways.items() if not way.done()}
            for order, was in self.read("SELECT id, due FROM ord WHERE state = 'open' AND due <= ?", time.time()):
                ways[order] = ways.get(order) or pool.submit(self.forward, order, was)
            self.work.wait(2)
    def serve(self):
        hear = self.hear
        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # for one that connects and says nothing
            def do_POST(self):
                try:
                    require(0 <= (length := int(self.headers["content-length"])) <= 65536, "too long")
                    status, said = 200, hear(self.headers, self.rfile.read(length))
                except (No, *UNREADABLE):
                    status, said = 400, {"error": "refused"}
                except Exception:  # it comes again
                    status, said = 503, {"error": "later"}
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text_of(said))
        threading.Thread(target=self.worker, daemon=True).start()
        ThreadingHTTPServer(("127.0.0.1", urlsplit(self.webhook).port or 8080), Handler).serve_forever()
def by(key, signed, one):  # of the two schemes v1 alone: one good signature is enough
    mac = hmac.digest(base64.b64decode(key["v1"].removeprefix("whsec_")), signed, "sha256")
    return key.get("until", 1 << 62) > time.time() and hmac.compare_digest(one.encode(), b"v1," + base64.b64encode(mac))

if __name__ == "__main__":
    print(json.dumps(getattr(Merchant(sys.argv[1]), sys.argv[2])(*sys.argv[3:])))
