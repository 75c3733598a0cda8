"""The merchant in Python against a store that holds its own keys and lies: no code leaves it twice.

Each lie is refused beside a control that is served; the last line says how many of each.
"""
import json, sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import merchant as m

HOME, STORE, ORIGIN = Path(sys.argv[1]), m.signing.SigningKey(b"\7" * 32), "https://store.example"
KEY = m.b64(X25519PrivateKey.generate().public_key().public_bytes_raw())
(HOME / "merchant.jwk").write_text(json.dumps({"d": m.b64(b"\1" * 32)}))
shop = m.Merchant(HOME)
shop.name, shop.origin, shop.keys = "games", ORIGIN, lambda: {bytes(STORE.verify_key): (0, 1 << 60)}
price = {"minor_units": 2000, "currency": "EUR"}
shop.read("INSERT INTO product VALUES ('P', ?, NULL)", json.dumps({"name": "game", "price": price}))
for code in ("ONE", "TWO", "THREE"):
    shop.read("INSERT INTO stock (product, code) VALUES ('game', ?)", code)
lies, controls = 0, 0

def order(number):
    name = m.b64(bytes([number]) * 16)
    shop.write(lambda db: shop.told(db, f"message {number}", name, m.b64(bytes([number]) * 32)))
    return name

def seal(name, generation=1, quantity=1, minor=2000, product="P"):
    said = {"order": name, "generation": generation, "quantity": quantity, "product": product, "recipient": KEY,
            "amount": {"minor_units": minor, "currency": "EUR"}}
    return shop.write(lambda db: shop.sealed(db, said, m.b64(b"\4" * 32)))

def refused(kind, job):
    global lies
    before = shop.read("SELECT id, ord FROM stock ORDER BY id")
    try:
        job()
    except kind:
        assert shop.read("SELECT id, ord FROM stock ORDER BY id") == before, "a code was freed or taken"
        lies += 1
        return
    raise AssertionError("it was not refused")

def control(condition):
    global controls
    assert condition, "the control"
    controls += 1

first, second = order(1), order(2)
sealed = seal(first)
control(seal(first) == sealed)
refused(m.Stuck, lambda: seal(first, generation=2, quantity=2, minor=4000))
refused(m.Stuck, lambda: seal(first, generation=2, minor=1))
refused(m.Stuck, lambda: seal(first, generation=2, product="another"))
control(seal(first, generation=2) != sealed)
refused(m.Unserved, lambda: seal(second, quantity=3, minor=6000))
refused(m.Unserved, lambda: seal(second, minor=1999))
refused(m.Unserved, lambda: seal(second, product="another"))

# Both signed: that the code was accepted, and that none ever was.
refunded = m.document(STORE, "order-refunded", merchant="games", iss=ORIGIN, order=first, at=1)
shop.ask = lambda *_, **__: {"document": refunded, "state": "refunded", "generation": 1}
shop.read("UPDATE sealing SET accepted = 'document' WHERE generation = 1")
refused(m.Stuck, lambda: shop.advance(first))
shop.read("UPDATE sealing SET accepted = NULL")
control(shop.advance(first)[0] == "refunded")
shop.read("UPDATE ord SET state = 'refunded' WHERE id = ?", first)
refused(m.Stuck, lambda: seal(first))
control(seal(second)["code"] != sealed["code"])

# On terms that had ended before the order was begun; the control was begun within the hour that clocks and pages have.
third = order(3)
begun = int.from_bytes(bytes([3]) * 6, "big") / 1000
for product, ended in ("OLD", begun - 3601), ("CLOSED", begun - 3599):
    said = json.dumps({"name": "game", "price": price})
    shop.read("INSERT INTO product VALUES (?, ?, ?)", product, said, ended)
refused(m.Stuck, lambda: seal(third, product="OLD"))
control(seal(third, product="CLOSED")["code"] != sealed["code"])

# One order that hangs holds nobody.
slow, quick, waits, done = order(4), order(5), m.threading.Event(), m.threading.Event()
def advance(name):
    if name == slow:
        waits.wait(60)
    if name == quick:
        done.set()
    return "accepted", ""
shop.advance = advance
m.threading.Thread(target=shop.worker, daemon=True).start()
control(done.wait(30))
waits.set()
print(json.dumps({"lies": lies, "controls": controls}))
