"""What a script on Python's standard library takes to read a whole mailbox for bills: port, certificate authority.

Reads each mail over IMAP with TLS, marks nothing, parses it, and looks for an amount and a due date behind a label in its
text. No signature is checked. Out: {"mails", "bills", "seconds", "kib"}
"""

import email
import email.policy
import imaplib
import json
import re
import resource
import ssl
import sys
import time

AMOUNT = re.compile(r"(?:amount due|total amount|total)\s*:?\s*(?:EUR|€)?\s*(\d+[.,]\d{2})", re.IGNORECASE)
DUE = re.compile(r"(?:due date|due on)\s*:?\s*(\d{1,2} \w+ \d{4}|\d{4}-\d{2}-\d{2})", re.IGNORECASE)


def main(port, authority):
    begun = time.monotonic()
    server = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=ssl.create_default_context(cafile=authority))
    server.login("kim", "secret")
    server.select("INBOX", readonly=True)
    _, listed = server.uid("SEARCH", None, "ALL")
    mails = bills = 0
    for uid in listed[0].split():
        _, answer = server.uid("FETCH", uid, "(BODY.PEEK[])")
        mail = email.message_from_bytes(answer[0][1], policy=email.policy.default)
        mails += 1
        for part in mail.walk():
            if part.get_content_maintype() == "text":
                text = part.get_content()
                if AMOUNT.search(text):
                    DUE.search(text)
                    bills += 1
                    break
    server.logout()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    json.dump({"mails": mails, "bills": bills, "seconds": time.monotonic() - begun, "kib": memory}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
