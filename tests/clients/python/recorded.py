"""Runs portcullis_client and keeps every signed document that it makes or verifies: `recorded.py FILE HOME VERB …`.

One JSON line per document: its type, the document, and the key that it verifies under. `jose.py` reads them.
"""

import json, sys

import portcullis_client as client

log, *arguments = sys.argv[1:]
verify, sign, read_manifest = client.verify, client.sign, client.Sealed.read_manifest


def keep(typ, document, public):
    with open(log, "a") as file:
        print(json.dumps({"typ": typ, "document": document, "jwk": client.jwk(public)}), file=file)


def verify_and_keep(compact, typ, keys):
    payload = verify(compact, typ, keys)
    kid = client.parse(client.unb64(compact.split(".")[0]))["kid"]
    keep(typ, compact, next(public for public in keys if client.b64(client.thumbprint(public)) == kid))
    return payload


def sign_and_keep(key, header, payload):
    compact = sign(key, header, payload)
    keep(header["typ"], compact, bytes(key.verify_key))
    return compact


def read_and_keep(self, text):
    read_manifest(self, text)
    keep("portcullis-manifest+jws", text.decode(), self.publisher)
    for public, _ in self.countersigned.values():
        keep("portcullis-countersignature+jws", text.decode(), public)


client.verify, client.sign, client.Sealed.read_manifest = verify_and_keep, sign_and_keep, read_and_keep
sys.exit(client.main(*arguments))
