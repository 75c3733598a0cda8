"""What Schemathesis cannot guess: it signs requests as docs/protocol.md section 5 says, and it knows what there is.

`PORTCULLIS_STAGE` names a JSON file with keys, tokens and, by operation, what nobody can guess of a good request: the
identifier of something that there is, or a body that a key has to sign. `server/tests/it/api/schemathesis.rs` makes it. All the
rest of a request is what Schemathesis makes up. `PORTCULLIS_STATUSES` names the file that every status is written to.
"""

import base64, hashlib, json, os, time
from urllib.parse import urlsplit

import requests, schemathesis
from nacl.signing import SigningKey

STAGE = json.load(open(os.environ["PORTCULLIS_STAGE"]))
STATUSES = open(os.environ["PORTCULLIS_STATUSES"], "a", buffering=1)
AS = "X-As"


def b64(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def unb64(text): return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
def text_of(value): return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Signer(requests.auth.AuthBase):
    """Adds the proof of possession, and repeats a request once if the server wants its nonce in the proof."""

    def __init__(self):
        self.nonces = {}

    def __call__(self, request):
        who = request.headers.pop(AS, None) or by_path(urlsplit(request.url).path)
        self.prove(request, who)
        request.register_hook("response", lambda answer, **options: self.again(answer, who, options))
        return request

    def prove(self, request, who):
        terminal, url = STAGE["terminals"][who], urlsplit(request.url)
        key = SigningKey(unb64(terminal["seed"]))
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        # Of Schemathesis' own values, which would be no proof.
        request.headers.pop("Authorization", None)
        is_oauth = url.path.startswith("/oauth/")
        token = None if is_oauth else terminal["token"]
        if request.method not in ("GET", "HEAD") and not is_oauth:
            request.headers.setdefault("Idempotency-Key", b64(os.urandom(16)))
        named = request.headers.get("Idempotency-Key")
        named = named.decode("latin-1") if isinstance(named, bytes) else named
        claims = {
            "jti": b64(os.urandom(16)), "htm": request.method, "htu": STAGE["origin"] + url.path, "iat": int(time.time()),
            "ik": named, "nonce": self.nonces.get(who), "ath": token and b64(hashlib.sha256(token.encode()).digest()),
            "bd": b64(hashlib.sha256(body).digest())}
        header = {"alg": "EdDSA", "jwk": {"crv": "Ed25519", "kty": "OKP", "x": b64(bytes(key.verify_key))},
                  "typ": "dpop+jwt"}
        claims = {name: value for name, value in claims.items() if value is not None}
        signed = b64(text_of(header)) + "." + b64(text_of(claims))
        request.headers["DPoP"] = signed + "." + b64(key.sign(signed.encode()).signature)
        if token:
            request.headers["Authorization"] = f"DPoP {token}"

    def again(self, answer, who, options):
        self.nonces[who] = answer.headers.get("DPoP-Nonce", self.nonces.get(who))
        if answer.status_code != 401 or "use_dpop_nonce" not in answer.text:
            return answer
        answer.content, answer.raw.release_conn()
        request = answer.request.copy()
        request.deregister_hook("response", request.hooks["response"][-1])
        self.prove(request, who)
        repeated = answer.connection.send(request, **options)
        self.nonces[who] = repeated.headers.get("DPoP-Nonce", self.nonces.get(who))
        repeated.request = request
        return repeated


SIGNER = Signer()
schemathesis.auth.set_from_requests(SIGNER)


@schemathesis.serializer("application/wasm")
def wasm(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


def by_path(path):
    """Whose terminal calls what Schemathesis made up. Who signs out everywhere is gone for everything else."""
    if path.endswith("/sign-out"):
        return "leaver"
    if path == "/v1/merchant" or path.startswith("/v1/merchant/"):
        return "merchant"
    return "publisher" if path.startswith(("/v1/publishers", "/v1/resources", "/v1/catalogue")) else "user"


def fresh_code(request):
    """A billing status code for a good request: it lives for half a minute, so it is asked for when it is needed."""
    answer = requests.post(STAGE["origin"] + "/v1/authorizations", data=text_of(request), auth=SIGNER, timeout=10,
                           headers={"Content-Type": "application/json", AS: "user"})
    payload = json.loads(unb64(answer.json()["signed"].split(".")[1]))
    return {"code": payload["body"]["code"], "request": request}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts in what cannot be guessed, until a request with it got through. Everything else stays as it was made up."""
    if case.method.upper() != case.operation.method.upper():
        return
    known = STAGE["known"].get(case.operation.label)
    if not known:
        return
    if "path" in known:
        case.path_parameters = dict(known["path"])
    case.headers[AS] = known.get("as", "user")
    if "file" in known:
        case.body, case.media_type = open(known["file"], "rb").read(), "application/wasm"
    elif "form" in known:
        case.body, case.media_type = known["form"], "application/x-www-form-urlencoded"
    elif "code_for" in known:
        case.body, case.media_type = fresh_code(known["code_for"]), "application/json"
    elif "body" in known:
        case.body, case.media_type = known["body"], "application/json"


@schemathesis.hook
def after_call(context, case, response):
    if 200 <= response.status_code < 300 and case.method.upper() == case.operation.method.upper():
        STAGE["known"].pop(case.operation.label, None)
    # Some cases go out without a proof, to see what becomes of them.
    is_proven = "DPoP" in response.request.headers
    print(json.dumps([case.operation.label, case.method.upper(), response.status_code, is_proven]), file=STATUSES)
