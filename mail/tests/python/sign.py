"""Signs mails with dkimpy. Reads JSON from standard input, writes JSON to standard output.

In:  {"mails": [{"raw", "domain", "selector", "headers"?, "length"?, "seal"?: {"domain", "selector", "results"}}]}
Out: {"mails": [raw], "keys": {name: record}}
"""

import base64
import json
import sys

import dkim
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

MADE = {}


def openssl_sign(digest, key):
    """The signature that dkimpy computes in Python, made by OpenSSL in a fraction of the time."""
    if key["modulus"] not in MADE:
        public = rsa.RSAPublicNumbers(key["publicExponent"], key["modulus"])
        parts = (key[name] for name in ("prime1", "prime2", "privateExponent", "exponent1", "exponent2", "coefficient"))
        MADE[key["modulus"]] = rsa.RSAPrivateNumbers(*parts, public).private_key()
    sha256 = utils.Prehashed(hashes.SHA256())
    return MADE[key["modulus"]].sign(digest.digest(), padding.PKCS1v15(), sha256)


dkim.RSASSA_PKCS1_v1_5_sign = openssl_sign


class Keys:
    """A key for each selector and domain, made when it is first used; or one for all, since making them takes time."""

    def __init__(self, one=False):
        self.private = {}
        self.records = {}
        self.one = one

    def of(self, selector, domain):
        name = f"{selector}._domainkey.{domain}"
        if self.one and self.private and name not in self.private:
            first = next(iter(self.private))
            self.private[name], self.records[name] = self.private[first], self.records[first]
        if name not in self.private:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            self.private[name] = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
            public = key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            self.records[name] = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        return self.private[name]


# What a careful sender signs: each twice, so that none can be added.
HEADERS = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type", b"content-transfer-encoding"]


def sign(keys, raw, domain, selector, headers=None, length=False):
    present = [name for name in HEADERS if f"\n{name.decode()}:" in "\n" + raw.split(b"\r\n\r\n", 1)[0].decode("latin-1").lower()]
    include = [name.encode() for name in headers] if headers is not None else present + present
    signature = dkim.sign(
        raw,
        selector.encode(),
        domain.encode(),
        keys.of(selector, domain),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=include,
        length=length,
    )
    return signature + raw


def seal(keys, raw, domain, selector, results):
    header = f"Authentication-Results: {domain}; {results}\r\n".encode()
    sets = dkim.arc_sign(header + raw, selector.encode(), domain.encode(), keys.of(selector, domain), domain.encode())
    return b"".join(sets) + header + raw


def main():
    keys = Keys()
    signed = []
    for mail in json.load(sys.stdin)["mails"]:
        raw = mail["raw"].encode("latin-1")
        if mail.get("domain"):
            raw = sign(keys, raw, mail["domain"], mail["selector"], mail.get("headers"), mail.get("length", False))
        if "then" in mail:
            raw = raw.replace(mail["then"][0].encode("latin-1"), mail["then"][1].encode("latin-1"), 1)
        if mail.get("seal"):
            raw = seal(keys, raw, mail["seal"]["domain"], mail["seal"]["selector"], mail["seal"]["results"])
        signed.append(raw.decode("latin-1"))
    json.dump({"mails": signed, "keys": keys.records}, sys.stdout)


if __name__ == "__main__":
    main()
