"""Writes the mails of `tests/vectors/mail/` anew, signed with dkimpy: python vectors.py FOLDER

The demo and the attack suite read them, so that neither needs Python. Keys are new at each run, and only what verifies is
written down: `names.json`, what the name servers say.
"""

import json
import pathlib
import sys

from sign import Keys, sign

USER = "kim@user.example"

UBL = """<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
  xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
  xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
  <cbc:ID>W-2026-11</cbc:ID>
  <cbc:IssueDate>2026-11-20</cbc:IssueDate>
  <cbc:DueDate>2026-12-20</cbc:DueDate>
  <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
  <cac:InvoicePeriod><cbc:StartDate>2026-10-01</cbc:StartDate><cbc:EndDate>2026-10-31</cbc:EndDate></cac:InvoicePeriod>
  <cac:LegalMonetaryTotal><cbc:PayableAmount currencyID="EUR">31.50</cbc:PayableAmount></cac:LegalMonetaryTotal>
</Invoice>
"""

POWER = """Dear Kim,

your invoice for October 2026 is here.

Customer number: 4711 0815
Period: 1 October 2026 to 31 October 2026
Amount due: EUR 84.20
Due date: 15 December 2026

Please pay to IBAN DE89 3704 0044 0532 0130 00.
"""

PHONE = """Guten Tag,

Ihre Rechnung für November ist da.

Kundennummer: 2077-3311
Rechnungsbetrag: 29,99 €
Fällig am: 10.12.2026
"""

LUNCH = """Hi Kim,

shall we have lunch on Thursday? The menu costs 12.00 EUR, I pay.

Sam
"""


def mail(domain, subject, body, kind="text/plain; charset=utf-8", to=USER, number=1):
    return (
        f"From: Billing <billing@{domain}>\nTo: <{to}>\nSubject: {subject}\nDate: Sun, 29 Nov 2026 07:00:00 +0000\n"
        f"Message-ID: <{number}@{domain}>\nMIME-Version: 1.0\nContent-Type: {kind}\n"
        f"Content-Transfer-Encoding: 8bit\n\n{body}"
    ).replace("\n", "\r\n").encode()


def page(amount, words, number):
    form = (
        '<script type="application/ld+json">{"@type":"Invoice","totalPaymentDue":{"@type":"PriceSpecification",'
        f'"price":"{amount}","priceCurrency":"EUR"}}}}</script>'
    )
    body = f"{form if amount else ''}<p>Your invoice</p><p>{words}</p><p>Please pay to IBAN DE89 3704 0044 0532 0130 00.</p>\n"
    return mail("power.example", "Your invoice", body, kind="text/html; charset=utf-8", number=number)


def main(folder):
    keys = Keys()
    power = mail("power.example", "Your invoice", POWER)

    def signed(raw, domain, **how):
        return sign(keys, raw, domain, "k1", **how)

    mails = {
        "power": signed(power, "power.example"),
        "water": signed(mail("water.example", "Invoice W-2026-11", UBL, kind="application/xml"), "water.example"),
        "phone": signed(mail("telefon.example", "Ihre Rechnung", PHONE), "telefon.example"),
        # A forger has no key of the biller's, and wants the money elsewhere.
        "forged": mail(
            "power.example", "Your invoice", POWER.replace("84.20", "94.20").replace("DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32")
        ),
        "lunch": signed(mail("friend.example", "Lunch?", LUNCH), "friend.example"),
        # Another person's bill, signed well.
        "of-another": signed(mail("power.example", "Your invoice", POWER, to="sam@other.example"), "power.example"),
        # Signed for its first lines only (`l=`), as some senders do: others can go on after them.
        "partly-signed": signed(power, "power.example", length=True),
        # The same biller, signed well, with another account to pay to: what a thief of its mailing system sends.
        "other-iban": signed(
            mail("power.example", "Your invoice", POWER.replace("DE89 3704 0044 0532 0130 00", "GB82 WEST 1234 5698 7654 32").replace("84.20", "85.20"), number=2),
            "power.example",
        ),
        # The known account first, then another one without its label, in small letters.
        "other-spelling": signed(
            mail("power.example", "Your invoice", POWER + "That account is closed: use gb82-west-1234-5698-7654-32.\n", number=3),
            "power.example",
        ),
        # A form for programs beside words that say something else, and beside the same.
        "form-and-words": signed(page("1.00", "Amount due: EUR 984.20", number=4), "power.example"),
        "form-as-words": signed(page("984.20", "Amount due: EUR 984.20", number=5), "power.example"),
        "hidden-words": signed(
            page(None, '<p style="display:none">Amount due: EUR 9.20</p><p>Please pay 984.20 euros</p>', number=6), "power.example"
        ),
        # Two signatures, as some billers send it.
        "signed-twice": sign(keys, signed(power, "power.example"), "power.example", "k2"),
        # A domain that looks like the biller's (Cyrillic o), with a good signature of its own.
        "look-alike": signed(mail("xn--pwer-55d.example", "Your invoice", POWER), "xn--pwer-55d.example"),
    }
    for name, raw in mails.items():
        (folder / f"{name}.eml").write_bytes(raw)
    records = json.dumps(keys.records, indent=1, sort_keys=True)
    (folder / "names.json").write_text(records + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
