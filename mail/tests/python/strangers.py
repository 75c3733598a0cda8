"""Bills as strangers write them: argument, the folder of published samples.

The templates of `invoice2data` say, as regular expressions, what real bills of some hundred billers look like. They were
written by many people over years, none of whom knew the extractor. Here each becomes a mail: its expressions are written
out, with an amount and dates of ours. A hash of the file's name halves them: the words of the extractor may be chosen by one
half; the other was only counted until November 2026, and has been looked at since. So were templates that came later, and
those of two countries that were not used before. So are the words of shops and ledgers in their translations to German, French and Spanish: what such a
program prints, in words that nobody here has read.

`readable` says whether a person could tell the total from these lines, by a rule that knows no words of any language: it is
the only amount on its line, there is a word beside it, and no line with the same words has another amount.

Out: {"mails": [{"raw", "source", "language", "biller", "amount", "currency", "due", "readable"}], "keys": {...}}
"""

import base64
import datetime
import hashlib
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
# Of the later templates those of Belgium and Switzerland as well. There are several languages in each folder.
LATER = {**LANGUAGES, "be": "be", "ch": "ch"}
SUBJECT = {"en": "Invoice", "de": "Rechnung", "fr": "Facture", "es": "Factura", "be": "Facture, invoice", "ch": "Rechnung, facture"}
CURRENCY = {"be": "EUR", "ch": "CHF", "com": "USD", "au": "AUD", "de": "EUR", "fr": "EUR", "es": "EUR"}
DATES = {"en": "%B %d, %Y", "de": "%d.%m.%Y", "fr": "%d/%m/%Y", "es": "%d/%m/%Y", "be": "%d/%m/%Y", "ch": "%d.%m.%Y"}
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
    language, options = LATER[folder], found["options"]
    separator = options.get("decimal_separator", "," if language != "en" else ".")
    units = chance.randrange(500, 99_900)
    amount = f"{units // 100}{separator}{units % 100:02}"
    day = datetime.date(2026, 11, 1) + datetime.timedelta(days=chance.randrange(28))
    due = day + datetime.timedelta(days=14)
    style = (options.get("date_formats") or [DATES[language]])[0]
    total, others = None, []
    lines = [str(found.get("issuer", ""))] + [word for word in found["keywords"] if not re.search(r"[\\()\[\]|*+?]", word)]
    says_due = None
    for name, expression in found["fields"].items():
        if name == "amount":
            text = line(expression, amount)
            if text is None:
                return None
            total = text
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
        others += [text] if text and name != "amount" else []
    if total is None:
        return None
    return {
        "subject": f"{SUBJECT[language]} 20264711",
        "body": "\n".join(filter(None, lines)),
        "language": language,
        "amount": units,
        "currency": options.get("currency", CURRENCY[folder]),
        "due": due.isoformat() if says_due else None,
        "readable": readable(total, others),
    }


def words(text):
    return re.findall(r"[^\W\d_]{2,}", SIGNS.sub(" ", text).lower())


def readable(total, others):
    alone = len(re.findall(r"\d[.,]\d\d(?!\d)", total)) == 1
    same = any(words(other) == words(total) and re.search(r"\d[.,]\d\d(?!\d)", other) for other in others)
    return alone and bool(words(total)) and not same


# What shops and ledgers print, by the English words that their translations go by: net, tax, total, day until which it is due.
PRINTED = {
    "trytond_account_invoice": [("Total (excl. taxes):", "Taxes:", "Total:", None)],
    "Cartridge": [("Sub total", "Tax total", "Total", None), ("Sub total", "Tax", "Order total", None)],
    "Plata": [("subtotal", "tax", "total", None)],
    "django-shop": [("Subtotal", None, "Total", None), (None, None, "Outstanding amount", None)],
    "django_oscar": [
        ("Order total (excl. tax)", "Order tax", "Order total (inc. tax)", None), (None, "Tax", "Total incl. tax", None),
        (None, None, "Total:", None),
    ],
    "lino_xl": [("Total excl. VAT", "VAT", "Total incl. VAT", "Due date"), ("Subtotal", "VAT", "Total", "Due date")],
}


def catalogue(folder, package, language):
    """The translations of a package, as far as they are not marked as guesses."""
    found = {}
    place = re.compile(rf"(^|/){language}(_[A-Z]+)?(/LC_MESSAGES/[^/]+)?\.po$")
    for path in sorted(path for path in folder.glob(f"{package}-*/**/*.po") if place.search(path.as_posix())):
        for entry in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            parts = re.search(r'^msgid ((?:".*"\n?)+)msgstr ((?:".*"\n?)+)', entry, re.MULTILINE)
            if parts and "#, fuzzy" not in entry:
                source, target = ("".join(re.findall(r'"(.*)"', part)) for part in parts.groups())
                if target:
                    found.setdefault(source, target)
    return found


def printed(folder, chance):
    for package, layouts in PRINTED.items():
        for language in ("de", "fr", "es"):
            words_of = catalogue(folder, package, language)
            for layout in layouts:
                if layout[2] not in words_of:
                    continue
                for _ in range(3):
                    units = chance.randrange(500, 99_900)
                    tax = units // 6
                    due = datetime.date(2026, 12, 1) + datetime.timedelta(days=chance.randrange(28))
                    values = [units - tax, tax, units]
                    rows = [(words_of.get(label), f"{value // 100},{value % 100:02} €") for label, value in zip(layout, values)]
                    rows += [(words_of.get(layout[3]), due.strftime(DATES["de"]))]
                    yield f"{package} {layout[2]}", {
                        "subject": f"{SUBJECT[language]} 20264711",
                        "body": "\n".join(f"{label.rstrip(' :')}: {value}" for label, value in rows if label),
                        "language": language,
                        "amount": units,
                        "currency": "EUR",
                        "due": due.isoformat() if words_of.get(layout[3]) else None,
                        "readable": True,
                    }


def described(folder, chance):
    """Each bill that a template describes, with where it is from and what tells its biller from others."""
    first = sorted(folder.glob("invoice2data-0.3.6/src/invoice2data/extract/templates/*/*.yml"))
    known = {path.relative_to(path.parents[1]).as_posix().lower() for path in first if path.parent.name in LANGUAGES}
    later = sorted(folder.glob("invoice2data-0.4.5/src/invoice2data/extract/templates/*/*.yml"))
    later = [path for path in later if path.relative_to(path.parents[1]).as_posix().lower() not in known]
    for path in first + later:
        if path.parent.name not in (LANGUAGES if path in first else LATER):
            continue
        tuned = hashlib.sha256(path.stem.encode()).digest()[0] % 2 == 0
        source = "later" if path in later else "tuned" if tuned else "opened"
        for _ in range(3):
            made = bill(template(path), path.parent.name, chance)
            if made is None:
                break
            yield source, path.as_posix(), made


def main(folder):
    chance, keys, mails, domains = random.Random(2026), Keys(one=True), [], {}
    made = list(described(folder, chance)) + [("printed", biller, made) for biller, made in printed(folder, chance)]
    for source, biller, made in made:
        domain = domains.setdefault(biller, f"s{len(domains)}.example")
        raw = sign(keys, mail(made.pop("subject"), made.pop("body"), domain, len(mails)), domain, "k1")
        mails.append({"raw": base64.b64encode(raw).decode(), "source": source, "biller": domain, **made})
    json.dump({"mails": mails, "keys": keys.records}, sys.stdout)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
