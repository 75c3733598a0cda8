"""Bills as strangers describe them: argument, the folder of published samples.

The templates of `invoice2data` say, as regular expressions, what real bills of some hundred billers look like. They were
written by many people over years, none of whom knew the extractor. Here each becomes a mail: its expressions are written
out, with an amount and dates of ours. Nothing in the extractor was chosen for them, and nothing in here for the extractor.

Out: {"mails": [{"raw", "language", "biller", "amount", "currency", "due", "says_currency"}], "keys": {...}, "skipped": n}
"""

import base64
import datetime
import json
import pathlib
import random
import re
import re._constants as sre
import re._parser as parser
import sys

from sign import Keys, sign

USER = "kim@user.example"
LANGUAGES = {"com": "en", "au": "en", "de": "de", "fr": "fr", "es": "es"}
SUBJECT = {"en": "Invoice", "de": "Rechnung", "fr": "Facture", "es": "Factura"}
CURRENCY = {"com": "USD", "au": "AUD", "de": "EUR", "fr": "EUR", "es": "EUR"}
DATES = {"en": "%B %d, %Y", "de": "%d.%m.%Y", "fr": "%d/%m/%Y", "es": "%d/%m/%Y"}
SIGNS = re.compile(r"EUR|USD|GBP|AUD|CHF|€|\$|£|euros?", re.IGNORECASE)


def scalar(text):
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace("\\\\", "\\")
    return text


def template(path):
    """As much of the file's YAML as these files use: sections, one value a line, lists of values."""
    found, section, name = {"fields": {}, "keywords": [], "options": {}}, None, None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith((" ", "-")):
            section, _, rest = line.partition(":")
            if rest.strip():
                found[section] = scalar(rest)
            continue
        item = line.strip()
        if item.startswith("- "):
            if section == "keywords":
                found["keywords"].append(scalar(item[2:]))
            elif section == "options" and name:
                found["options"].setdefault(name, []).append(scalar(item[2:]))
            continue
        name, _, value = item.partition(":")
        if section in ("fields", "options") and value.strip():
            found[section][name.strip()] = scalar(value)
    return found


def written(tree, value, state):
    """The text that an expression describes, with `value` in place of its first group."""
    text = ""
    for op, argument in tree:
        if op is sre.LITERAL:
            text += chr(argument)
        elif op is sre.NOT_LITERAL or op is sre.ANY:
            text += " "
        elif op is sre.IN:
            text += one_of(argument)
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, _, inner = argument
            text += "".join(written(inner, value, state) for _ in range(max(least, 1)))
        elif op is sre.SUBPATTERN:
            group, _, _, inner = argument
            if group is not None and not state:
                state.append(group)
                text += value
            else:
                text += written(inner, value, state)
        elif op is sre.BRANCH:
            text += written(argument[1][0], value, state)
    return text


def one_of(choices):
    if choices[0][0] is sre.NEGATE:
        return " "
    op, argument = choices[0]
    if op is sre.LITERAL:
        return chr(argument)
    if op is sre.RANGE:
        return chr(argument[0])
    return {sre.CATEGORY_DIGIT: "7", sre.CATEGORY_SPACE: " ", sre.CATEGORY_WORD: "A"}.get(argument, "x")


def line(expression, value):
    """A line that the expression finds the value in; nothing if it cannot be written so."""
    try:
        text = written(parser.parse(expression), value, [])
        found = re.search(expression, text)
    except (re.error, RecursionError, IndexError):
        return None
    return text if found and found.groups() and found.group(1).strip() == value else None


def mail(subject, body, domain, number):
    return (
        f"From: Billing <billing@{domain}>\nTo: <{USER}>\nSubject: {subject}\nDate: Sun, 29 Nov 2026 07:00:00 +0000\n"
        f"Message-ID: <{number}@{domain}>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        f"Content-Transfer-Encoding: 8bit\n\n{body}\n"
    ).replace("\n", "\r\n").encode()


def bill(found, folder, chance):
    language, options = LANGUAGES[folder], found["options"]
    separator = options.get("decimal_separator", "," if language != "en" else ".")
    units = chance.randrange(500, 99_900)
    amount = f"{units // 100}{separator}{units % 100:02}"
    day = datetime.date(2026, 11, 1) + datetime.timedelta(days=chance.randrange(28))
    due = day + datetime.timedelta(days=14)
    style = (options.get("date_formats") or [DATES[language]])[0]
    lines = [str(found.get("issuer", ""))] + [word for word in found["keywords"] if not re.search(r"[\\()\[\]|*+?]", word)]
    says_due = says_currency = None
    for name, expression in found["fields"].items():
        if name == "amount":
            text = line(expression, amount)
            if text is None:
                return None
            says_currency = bool(SIGNS.search(text))
        elif name == "amount_untaxed":
            part = units * 5 // 6
            text = line(expression, f"{part // 100}{separator}{part % 100:02}")
        elif name in ("date", "date_due"):
            text = line(expression, (due if name == "date_due" else day).strftime(style))
            says_due = says_due or (name == "date_due" and text is not None)
        elif name == "invoice_number":
            text = line(expression, "20264711")
        else:
            text = None
        lines += [text] if text else []
    if says_currency is None:
        return None
    return {
        "subject": f"{SUBJECT[language]} 20264711",
        "body": "\n".join(filter(None, lines)),
        "language": language,
        "amount": units,
        "currency": options.get("currency", CURRENCY[folder]),
        "due": due.isoformat() if says_due else None,
        "says_currency": says_currency,
    }


def main(folder):
    chance, keys, mails, skipped = random.Random(2026), Keys(), [], 0
    paths = sorted(folder.glob("invoice2data-*/src/invoice2data/extract/templates/*/*.yml"))
    for number, path in enumerate(path for path in paths if path.parent.name in LANGUAGES):
        found = template(path)
        for _ in range(3):
            made = bill(found, path.parent.name, chance)
            if made is None:
                skipped += 1
                break
            domain = f"s{number}.example"
            raw = sign(keys, mail(made.pop("subject"), made.pop("body"), domain, len(mails)), domain, "k1")
            mails.append({"raw": base64.b64encode(raw).decode(), "biller": domain, **made})
    json.dump({"mails": mails, "keys": keys.records, "skipped": skipped}, sys.stdout)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
