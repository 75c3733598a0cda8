"""Verifies signed documents with PyJWT and joserfc, and with one bit of each byte flipped: `jose.py FILE`.

FILE has one JSON line per document: `{typ, document, jwk}`. Both libraries have to accept each document and to reject
each changed one. Prints how many of each type were tried.
"""

import base64, json, sys, warnings
from collections import Counter

import jwt
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

# RFC 9864 calls `EdDSA` by the name of its curve; documents of version 1 keep the name of RFC 8037.
warnings.simplefilter("ignore", SecurityWarning)
# A countersignature's header has members of its own.
REGISTRY = jws.JWSRegistry(algorithms=["EdDSA"], strict_check_header=False)

# Documents of one type differ in little; more of them only take time.
MOST_OF_A_TYPE = 3


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_pyjwt(segments, key):
    found = jwt.PyJWS().decode_complete(".".join(segments), jwt.PyJWK(key).key, algorithms=["EdDSA"])
    return found["header"]["typ"], found["payload"]


def by_joserfc(segments, key):
    found = jws.deserialize_compact(".".join(segments), OKPKey.import_key(key), registry=REGISTRY)
    return found.protected["typ"], found.payload


def by_joserfc_json(text, key, index):
    """The general JSON serialisation, with one of its signatures."""
    general = json.loads(text)
    one = {"payload": general["payload"], "signatures": [general["signatures"][index]]}
    found = jws.deserialize_json(one, OKPKey.import_key(key), registry=REGISTRY)
    return found.members[0].protected["typ"], found.payload


def rejects(library, segments, key):
    try:
        library(segments, key)
    except Exception:  # each library has errors of its own for each way in which a document is broken
        return True
    return False


def main(path):
    lines = [json.loads(line) for line in open(path)]
    tried, flipped = Counter(), 0
    for typ, document, key in {(line["typ"], line["document"], json.dumps(line["jwk"])) for line in lines}:
        if tried[typ] == MOST_OF_A_TYPE:
            continue
        key = json.loads(key)
        if document.startswith("{"):
            general = json.loads(document)
            kinds = [json.loads(decoded(entry["protected"]))["typ"] for entry in general["signatures"]]
            index = kinds.index(typ)
            entry = general["signatures"][index]
            assert by_joserfc_json(document, key, index)[0] == typ, f"{typ} as JSON"
            segments = [entry["protected"], general["payload"], entry["signature"]]
        else:
            segments = document.split(".")
        for library in (by_pyjwt, by_joserfc):
            found, payload = library(segments, key)
            assert found == typ and payload == decoded(segments[1]), f"{library.__name__} reads another {typ}"
        for index, segment in enumerate(segments):
            for at in range(len(data := decoded(segment))):
                changed = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:]
                broken = [*segments[:index], encoded(changed), *segments[index + 1:]]
                for library in (by_pyjwt, by_joserfc):
                    assert rejects(library, broken, key), f"{library.__name__} accepts a {typ} with a flipped bit"
                    flipped += 1
        tried[typ] += 1
    print(json.dumps({"documents": tried, "flipped": flipped}))


main(sys.argv[1])
