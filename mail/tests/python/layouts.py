"""Writes a signed mail for each layout in a folder, which is its argument: some files of each language, whose heads
explain them.

Out: {"mails": [{"raw", "file", "layout", "domain", "owed", "currency", "due"}], "keys": {...}}; `owed` is null if nothing is.
"""

import base64
import json
import pathlib
import sys

from sign import Keys, sign


def units(written):
    """Minor units of an amount with two decimals, however its language writes it."""
    return int("".join(c for c in written if c.isdigit()))


def layouts(path):
    for at, layout in enumerate(path.read_text(encoding="utf-8").split("\n== ")[1:], 1):
        head, _, body = layout.partition("\n")
        said, _, subject = head.partition(" | ")
        # Amount, currency, due date, and the currency that the list of billers says.
        said = said.split()
        owed = said[0] != "-"
        yield {
            "file": path.stem,
            "layout": f"{path.stem} {at}: {subject}",
            "owed": units(said[0]) if owed else None,
            "currency": said[1] if owed else None,
            "due": said[2] if owed and said[2] != "-" else None,
            # Each has a sender of its own: bills of one that name two accounts would be doubted.
            "domain": f"{said[3] if said[3:] else 'layouts'}.{path.stem}-{at}.example",
            "subject": subject,
            "body": body.rstrip("\n"),
        }


def mail(at, layout):
    encoded = lambda text: base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    subject = base64.b64encode(layout["subject"].encode()).decode()
    kind = "html" if layout["body"].startswith("<") else "plain"
    return (
        f"From: <billing@{layout['domain']}>\r\nTo: Kim <kim@user.example>\r\nSubject: =?utf-8?B?{subject}?=\r\n"
        f"Date: Sun, 29 Nov 2026 07:00:00 +0000\r\nMessage-ID: <{at}@{layout['domain']}>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded(layout['body'])}"
    )


def main():
    keys = Keys(one=True)
    mails = []
    for layout in [layout for path in sorted(pathlib.Path(sys.argv[1]).glob("*.txt")) for layout in layouts(path)]:
        signed = sign(keys, mail(len(mails), layout).encode(), layout["domain"], "k1")
        said = {name: layout[name] for name in ("file", "layout", "domain", "owed", "currency", "due")}
        mails.append({"raw": base64.b64encode(signed).decode(), **said})
    json.dump({"mails": mails, "keys": keys.records}, sys.stdout)


if __name__ == "__main__":
    main()
