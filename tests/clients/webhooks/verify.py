"""Verifies webhooks with packages of others: standardwebhooks and svix for `v1`, PyNaCl for `v1a`.

Reads {"secret", "key", "headers", "body"} from standard input; flips every bit of the body's first and last bytes, of
the identifier and of each signature, and prints what became of it as JSON.
"""

import base64
import json
import sys
import time

import nacl.exceptions
import nacl.signing
import standardwebhooks
import svix.webhooks


def standard(secret, headers, body):
    standardwebhooks.Webhook(secret).verify(body, headers)


def of_svix(secret, headers, body):
    svix.webhooks.Webhook(secret).verify(body, headers)


def by_key(key, headers, body):
    """What the page says of `v1a`: one signature has to verify, and the time is at most five minutes off."""
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        raise ValueError("too old")
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    public = nacl.signing.VerifyKey(base64.b64decode(key.removeprefix("whpk_")))
    for signature in headers["webhook-signature"].split(" "):
        scheme, _, encoded = signature.partition(",")
        if scheme == "v1a":
            try:
                public.verify(message, base64.b64decode(encoded))
                return
            except (nacl.exceptions.BadSignatureError, ValueError):
                pass
    raise ValueError("no signature verifies")


def accepted(verify, key, headers, body):
    try:
        verify(key, headers, body)
        return True
    except Exception:
        return False


def flipped(text):
    """Each ASCII text that differs by one bit of the first or last characters, as long as it stays text."""
    places = sorted(set(range(min(4, len(text)))) | set(range(max(0, len(text) - 4), len(text))))
    for place in places:
        for bit in range(7):
            other = chr(ord(text[place]) ^ (1 << bit))
            if other.isprintable():
                yield text[:place] + other + text[place + 1 :]


def main():
    given = json.load(sys.stdin)
    headers, body = given["headers"], given["body"]
    told = {}
    for name, verify, key in [
        ("standardwebhooks", standard, given["secret"]),
        ("svix", of_svix, given["secret"]),
        ("pynacl", by_key, given["key"]),
    ]:
        forgeries = [(headers, text) for text in flipped(body)]
        forgeries += [({**headers, "webhook-id": text}, body) for text in flipped(headers["webhook-id"])]
        late = str(int(headers["webhook-timestamp"]) - 400)
        forgeries.append(({**headers, "webhook-timestamp": late}, body))
        forgeries.append(({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body))
        for index, signature in enumerate(headers["webhook-signature"].split(" ")):
            scheme, _, encoded = signature.partition(",")
            raw = base64.b64decode(encoded)
            for bit in range(0, 8 * len(raw), 5):
                wrong = bytearray(raw)
                wrong[bit // 8] ^= 1 << bit % 8
                signatures = headers["webhook-signature"].split(" ")
                signatures[index] = f"{scheme},{base64.b64encode(bytes(wrong)).decode()}"
                # Of the other scheme's signature nothing depends here.
                signatures = [text for text in signatures if text.startswith(scheme + ",")]
                forgeries.append(({**headers, "webhook-signature": " ".join(signatures)}, body))
        told[name] = {
            "accepted": accepted(verify, key, headers, body),
            "forged": sum(accepted(verify, key, *forgery) for forgery in forgeries),
            "tried": len(forgeries),
        }
    print(json.dumps(told))


main()
