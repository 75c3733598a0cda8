"""The client against a server that lies: `hostile.py HOME FILE OPERATION PART`.

HOME is signed in, FILE is a sealed resource, OPERATION is paid for and releases PART. A liar stands between the client
and the real server. Each lie has to fail with its own error, and the honest request has to work. Prints how many, and
what the real server says to a client that lies.
"""

import json, os, random, sys, time
from pathlib import Path

import httpx
from nacl.signing import SigningKey
from pyhpke.exceptions import PyHPKEError

import portcullis_client as client
from portcullis_client import Invalid, Offline, Refused, Sealed, Terminal, b64, jwk, protected, sign, unb64

home, file, operation, part = sys.argv[1:]
OWN = SigningKey(os.urandom(32))
OWN_PUBLIC = bytes(OWN.verify_key)
told, controls = [], 0


class Liar(httpx.BaseTransport):
    """Passes everything on, but for answers under `/v1/`, which go through `lie`."""

    def __init__(self):
        self.real, self.lie, self.well_known = httpx.HTTPTransport(), None, None

    def handle_request(self, request):
        path = request.url.path
        if path == "/.well-known/portcullis" and self.well_known:
            return httpx.Response(200, json=self.well_known)
        answer = self.real.handle_request(request)
        answer.read()
        if self.lie is None or not path.startswith("/v1/") or b"use_dpop_nonce" in answer.content:
            return answer
        return self.lie(request, answer)


def signed_by(key, request, typ, **payload):
    compact = sign(key, protected(bytes(key.verify_key), typ), {
        "req": b64(client.sha256(request.headers["DPoP"].encode())), "iat": int(time.time()), **payload})
    return {"signed": compact}


def flip(compact, segment):
    segments = compact.split(".")
    data = bytearray(unb64(segments[segment]))
    data[len(data) // 2] ^= 1
    segments[segment] = b64(bytes(data))
    return {"signed": ".".join(segments)}


def expect(name, error, run):
    try:
        run()
    except error as caught:
        told.append({"lie": name, "error": type(caught).__name__, "detail": str(caught)})
        return
    sys.exit(f"the client believed this lie: {name}")


def control(run):
    global controls
    controls += 1
    return run()


def answers(terminal, liar):
    """Whatever is not signed for this very request is no answer."""
    earlier = []

    def ask():
        return terminal.ask("GET", "/v1/account")

    def keep(request, answer):
        earlier.append(answer.json())
        return answer
    liar.lie = keep
    body = control(ask)
    refusal, positive = "portcullis-refusal+jwt", "portcullis-answer+jwt"

    def respond(status, make):
        return lambda request, answer: httpx.Response(status, json=make(request, answer))
    lies = {
        "unsigned": respond(200, lambda request, answer: body),
        "unsigned, called signed": respond(200, lambda request, answer: {"signed": json.dumps(body)}),
        "an unsigned refusal": respond(402, lambda request, answer: {"reason": "payment-required"}),
        "an earlier answer": respond(200, lambda request, answer: earlier[0]),
        "another key": respond(200, lambda request, answer: signed_by(OWN, request, positive, body=body)),
        "a refusal by another key": respond(
            402, lambda request, answer: signed_by(OWN, request, refusal, reason="not-signed-in")),
        "a flipped bit in the header": respond(200, lambda request, answer: flip(answer.json()["signed"], 0)),
        "a flipped bit in the payload": respond(200, lambda request, answer: flip(answer.json()["signed"], 1)),
        "a flipped bit in the signature": respond(200, lambda request, answer: flip(answer.json()["signed"], 2)),
        "a yes sent as a no": respond(402, lambda request, answer: answer.json()),
        "a redirect": lambda request, answer: httpx.Response(307, headers={"Location": str(request.url)}),
        "no JSON": lambda request, answer: httpx.Response(200, text="<html>welcome</html>"),
        "a broken connection": lambda request, answer: (_ for _ in ()).throw(httpx.ReadError("reset")),
    }
    for name, liar.lie in lies.items():
        expect(name, Offline, ask)
    # From here on the liar's own key is the server's, for what a server may not say either.
    real_keys, terminal.signing_keys = terminal.signing_keys, lambda: {OWN_PUBLIC: (0, 1 << 63)}

    def refuse(reason):
        return respond(402, lambda request, answer: signed_by(OWN, request, refusal, reason=reason))
    liar.lie = refuse("payment-required")
    control(lambda: expect("(control) a refusal of the server's", Refused, ask))
    told.pop()
    for reason in ("offline", "server-untrusted", "package-invalid"):
        liar.lie = refuse(reason)
        expect(f"a refusal that is made on the terminal: {reason}", Offline, ask)
    liar.lie, terminal.signing_keys = None, real_keys


def key_documents(terminal, liar):
    """A key document that is not the pinned root's, current, and this server's."""
    now, root = int(time.time()), terminal.root
    honest = {"iss": terminal.origin, "version": terminal.state["version"] + 1, "iat": now, "exp": now + 86400,
              "signing": [{"jwk": jwk(OWN_PUBLIC), "nbf": now - 60, "exp": now + 86400}], "recipient": "age1none"}

    def keys(key=OWN, **changes):
        text = sign(key, protected(bytes(key.verify_key), "portcullis-keys+jwt"), honest | changes)
        liar.well_known = {"root": jwk(OWN_PUBLIC), "keys": text, "api": terminal.origin + "/v1"}
        return terminal.signing_keys()
    expect("key document: another root", Invalid, keys)
    terminal.root, version = OWN_PUBLIC, terminal.state["version"]
    assert list(control(keys)) == [OWN_PUBLIC]
    for name, changes in {
            "of another server": {"iss": "https://elsewhere.example"},
            "that has ended": {"iat": now - 9, "exp": now - 1},
            "that lives too long": {"exp": now + 8 * 86400}, "that is older": {"version": version}}.items():
        expect(f"key document: {name}", Invalid, lambda: keys(**changes))
    ended = honest["signing"][0] | {"exp": now - 1}
    assert keys(version=version + 2, signing=[ended]) == {}, "a key that has ended signs"
    terminal.root, terminal.state["version"], liar.well_known = root, version, None


def grants(terminal, package):
    """A grant that is not for this request, resource, terminal and time, and keys that are not this grant's."""
    kept, real_check = [], terminal.check_grant
    terminal.check_grant = lambda *seen: kept.append(seen) or real_check(*seen)
    terminal.authorise(package.digest, operation, nonce=os.urandom(8))
    _, keys = control(lambda: terminal.verify(package))
    answer, request, _ = kept[0]
    terminal.check_grant = real_check
    other = answer | {"grant": resigned(answer)}
    expect("a grant by another key", Invalid, lambda: terminal.check_grant(other, request, package))
    real_keys, terminal.signing_keys = terminal.signing_keys, lambda: {OWN_PUBLIC: (0, 1 << 63)}
    for name, value in {
            "iss": "https://elsewhere.example", "cnf": b64(bytes(32)), "resource": b64(bytes(32)),
            "publisher": "another", "name": "another", "version": "9.9.9", "operation": "another", "parts": [],
            "nonce": b64(b"another"), "exp": int(time.time()) - 1}.items():
        changed = answer | {"grant": resigned(answer, **{name: value})}
        expect(f"grant: another {name}", Invalid, lambda: terminal.check_grant(changed, request, package))
    expect("keys of another grant", PyHPKEError, lambda: terminal.check_grant(other, request, package))
    terminal.signing_keys = real_keys
    expect("another grant nonce", Invalid,
           lambda: terminal.check_grant(answer | {"grant_nonce": b64(bytes(16))}, request, package))
    release = answer["keys"]
    for name, changed in {"a suite of the future": {"suite": 2}, "no keys": {"keys": []},
                          "keys in another order": {"keys": release["keys"][::-1]}}.items():
        expect(name, Invalid, lambda: terminal.check_grant(answer | {"keys": release | changed}, request, package))
    return keys


def resigned(answer, **changes):
    grant = client.parse(unb64(answer["grant"].split(".")[1]))
    return sign(OWN, protected(OWN_PUBLIC, "portcullis-grant+jwt"), grant | changes)


def refusals(terminal, package):
    """What the real server refuses: a code of nobody's, for another request, used twice. A retry is no second use."""
    verify = "/v1/verifications"

    def hold():
        terminal.authorise(package.digest, operation)
        return terminal.state["pending"]

    def reason(body):
        try:
            terminal.ask("POST", verify, body)
        except Refused as no:
            return no.args[0]["reason"]
        sys.exit("the server did not refuse")
    held = hold()
    changed = held["body"]["request"] | {"quantity": 2}
    found = {"forged": reason(held["body"] | {"code": b64(os.urandom(48))}),
             "another request": reason(held["body"] | {"request": changed})}
    first = control(lambda: terminal.ask("POST", verify, held["body"], held["key"]))
    again = control(lambda: terminal.ask("POST", verify, held["body"], held["key"]))
    assert first == again, "a retry got another answer"
    jti = client.parse(unb64(first["grant"].split(".")[1]))["jti"]
    assert control(lambda: terminal.ask("GET", f"/v1/grants/{jti}")) == first, "the grant is another when fetched again"
    found["used twice"] = reason(held["body"])
    terminal.save(pending=None)
    return found


def files(data, keys):
    """A sealed resource of which one byte differs."""
    def whole(bytes_):
        package = Sealed(bytes_)
        client.require(all(package.opens(name, key) for name, key in keys.items()), "a key opens nothing")
        return [package.clear(name, key) for name, key in keys.items()]
    clear = control(lambda: whole(data))
    assert all(clear)
    draw = random.Random(1)
    spans = [0, *(len(data) * n // 400 for n in range(1, 400)), len(data)]
    package, quiet = Sealed(data), []
    for name in set(package.parts) - set(keys):
        start = data.find(package.age(name)[0])
        quiet.append((start, start + len(package.sections[f"portcullis:part/{name}"])))
    for first, last in zip(spans, spans[1:]):
        at = draw.randrange(first, last)
        # Of a part without a key only its header's form and its length can be checked.
        if not any(start <= at < end for start, end in quiet):
            changed = bytearray(data)
            changed[at] ^= 1 << draw.randrange(8)
            expect(f"sealed file: byte {at}", Exception, lambda: whole(bytes(changed)))
    expect("sealed file: cut short", Exception, lambda: whole(data[:-1]))
    expect("sealed file: a byte appended", Exception, lambda: whole(data + b"\0"))
    expect("sealed file: a section appended", Exception, lambda: whole(data + b"\0\x02\x01x"))


liar = Liar()
terminal, sealed = Terminal(home, transport=liar), Path(file).read_bytes()
answers(terminal, liar)
key_documents(terminal, liar)
files(sealed, grants(terminal, Sealed(sealed)))
print(json.dumps({"lies": len(told), "controls": controls, "refusals": refusals(terminal, Sealed(sealed))}))
