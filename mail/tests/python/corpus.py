"""Writes a corpus of signed mails: bills of 18 kinds in four languages, and as many mails that are none.

Every layout belongs to one of two groups. Those in TUNED were looked at while the extractor was written. Those in
HELD_OUT were not: they are only ever counted.

Out: {"mails": [{"raw", "bill", "held_out", "language", "kind", "amount", "due", "account"}], "keys": {...}}
"""

import base64
import json
import random
import sys

from sign import Keys, sign

USER = "kim@user.example"
KINDS = [
    "electricity", "gas", "water", "internet", "mobile", "rent", "insurance", "waste", "tax", "newspaper",
    "club", "school", "dentist", "credit-card", "hosting", "toll", "heating", "streaming",
]
DOMAINS = {kind: f"{kind}.example" for kind in KINDS}

# Layouts: {amount}, {due}, {account}, {start}, {end} are written as the language writes them.
TUNED = {
    "en": [
        ("Your {kind} bill", "Dear customer,\n\nyour bill for {start} to {end} is ready.\n\nAccount number: {account}\nAmount due: {amount}\nDue date: {due}\n\nKind regards"),
        ("Invoice for {kind}", "Invoice\n\nCustomer number: {account}\nBilling period: {start} - {end}\nSubtotal: {part}\nVAT: {tax}\nTotal amount: {amount}\nPlease pay by {due}."),
    ],
    "de": [
        ("Ihre Rechnung {kind}", "Guten Tag,\n\nKundennummer: {account}\nAbrechnungszeitraum: {start} - {end}\nRechnungsbetrag: {amount}\nFällig am: {due}\n\nFreundliche Grüße"),
        ("Rechnung", "Vertragsnummer {account}\nNetto: {part}\nUmsatzsteuer: {tax}\nGesamtbetrag: {amount}\nZahlbar bis {due}"),
    ],
    "fr": [
        ("Votre facture {kind}", "Bonjour,\n\nNuméro de client : {account}\nPériode de facturation : {start} - {end}\nMontant à payer : {amount}\nDate d'échéance : {due}\n\nCordialement"),
        ("Facture", "N° client : {account}\nTotal HT : {part}\nTVA : {tax}\nTotal TTC : {amount}\nÀ régler avant le {due}"),
    ],
    "es": [
        ("Su factura de {kind}", "Hola:\n\nNúmero de cliente: {account}\nPeriodo de facturación: {start} - {end}\nImporte a pagar: {amount}\nFecha de vencimiento: {due}\n\nSaludos"),
        ("Factura", "Nº de cliente: {account}\nBase imponible: {part}\nIVA: {tax}\nImporte total: {amount}\nPagar antes del {due}"),
    ],
}
HELD_OUT = {
    "en": [
        ("Statement {kind}", "Hello,\n\nThis is your monthly statement.\n\nPrevious balance   {part}\nPayments received   {part}\nNew charges   {amount}\nTotal due   {amount}\n\nPayment due by {due}. Customer ID {account}."),
        ("{kind}: new invoice available", "We have issued a new invoice for contract number {account}.\nThe grand total is {amount} and is due on {due}."),
    ],
    "de": [
        ("{kind}: Abrechnung liegt vor", "Sehr geehrte Kundin,\n\nanbei die Abrechnung zu Vertragskonto {account} für den Zeitraum {start} bis {end}.\n\nZu zahlen: {amount}\nFälligkeit: {due}"),
        ("Beitragsrechnung {kind}", "Mitgliedsnummer: {account}\nWir buchen den Betrag von {amount} am {due} von Ihrem Konto ab.\nfällig am {due}"),
    ],
    "fr": [
        ("Avis d'échéance {kind}", "Madame, Monsieur,\n\nRéférence client {account}\nPériode : du {start} au {end}\nNet à payer {amount}\nÉchéance {due}"),
        ("{kind} : facture disponible", "Votre facture est disponible. Montant total : {amount}. Prélèvement le {due}. Numéro de contrat {account}."),
    ],
    "es": [
        ("Recibo {kind}", "Estimado cliente:\n\nle enviamos el recibo del contrato.\nNúmero de contrato {account}\nTotal a pagar {amount}\nVence el {due}"),
        ("Aviso de cobro de {kind}", "Le informamos del cargo de su factura.\nNúmero de socio: {account}\nImporte: {amount}\nFecha de cargo: {due}"),
    ],
}
NO_BILL = {
    "en": [
        ("Payment received", "Thank you for your payment of {amount} for your invoice. Nothing is due."),
        ("Order confirmation", "We received your order. Total: {amount}. It has shipped."),
        ("Our offers this week", "Save now: only {amount} instead of {part}. Total savings guaranteed!"),
        ("Minutes of our meeting", "We talked about the budget of {amount} and meet again on {due}."),
        ("Your refund", "We have issued a refund of {amount} for your last invoice."),
        ("Your quote", "Here is the quote you asked for. Total: {amount}. Valid until {due}."),
    ],
    "de": [
        ("Zahlungseingang", "Vielen Dank für Ihre Zahlung von {amount} zu Ihrer Rechnung."),
        ("Bestellbestätigung", "Wir haben Ihre Bestellung erhalten. Gesamtbetrag: {amount}. Die Rechnung folgt."),
        ("Nur diese Woche", "Jetzt für {amount} statt {part}: greifen Sie zu!"),
        ("Grillfest", "Wir treffen uns am {due}. Jeder gibt {amount} in die Kasse."),
        ("Ihre Gutschrift", "Zu Ihrer letzten Rechnung erhalten Sie eine Gutschrift. Betrag: {amount}."),
        ("Ihr Angebot", "Unser Angebot für Sie: Gesamtbetrag {amount}, gültig bis {due}."),
    ],
    "fr": [
        ("Paiement reçu", "Nous avons bien reçu votre paiement de {amount} pour la facture. Montant total : {amount}"),
        ("Confirmation de commande", "Merci de votre commande. Total : {amount}. La facture suivra."),
        ("Soldes", "Tout à {amount} au lieu de {part}, cette semaine seulement."),
        ("Rendez-vous", "Nous nous voyons le {due}. Prévoyez {amount} pour le repas."),
        ("Votre remboursement", "Un remboursement de votre facture a été émis. Montant : {amount}."),
        ("Votre devis", "Voici votre devis. Montant total : {amount}, valable jusqu'au {due}."),
    ],
    "es": [
        ("Pago recibido", "Gracias por su pago de {amount} de la factura. Importe total: {amount}"),
        ("Confirmación de pedido", "Hemos recibido su pedido. Total: {amount}. La factura se enviará después."),
        ("Rebajas", "Todo por {amount} en lugar de {part}."),
        ("Reunión", "Nos vemos el {due}. Son {amount} por persona."),
        ("Su reembolso", "Hemos emitido un reembolso de su factura. Importe: {amount}."),
        ("Su presupuesto", "Aquí tiene su presupuesto. Importe total: {amount}, válido hasta {due}."),
    ],
}
MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
}


def money(units, language):
    whole, cents = divmod(units, 100)
    if language == "en":
        return f"€{whole:,}.{cents:02}"
    grouped = f"{whole:,}".replace(",", "\u00a0" if language == "fr" else ".")
    return f"{grouped},{cents:02} €"


def day(date, language, rng):
    year, month, number = date
    name = MONTHS[language][month - 1]
    written = {
        "en": f"{number} {name} {year}",
        "de": rng.choice([f"{number:02}.{month:02}.{year}", f"{number}. {name} {year}"]),
        "fr": f"{number} {name} {year}",
        "es": f"{number} de {name} de {year}",
    }
    return written[language]


def rfc2047(text):
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def part(kind, text):
    body = base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    return f"Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}"


def html(text):
    cells = []
    for line in text.split("\n"):
        label, colon, value = line.partition(": ")
        cells.append(f"<tr><td>{label}{colon.strip()}</td><td>{value}</td></tr>" if colon else f"<tr><td colspan=2>{line}</td></tr>")
    return f"<html><head><title>9,99 €</title></head><body><table>{''.join(cells)}</table></body></html>"


def mail(rng, number, kind, subject, text):
    form = rng.choice(["plain", "html", "both"])
    head = (
        f"From: {rfc2047(kind)} <billing@{DOMAINS[kind]}>\r\nTo: Kim <{USER}>\r\nSubject: {rfc2047(subject)}\r\n"
        f"Date: Sun, 29 Nov 2026 07:{number % 60:02}:00 +0000\r\nMessage-ID: <{number}@{DOMAINS[kind]}>\r\nMIME-Version: 1.0\r\n"
    )
    if form == "plain":
        return head + part("text/plain", text)
    if form == "html":
        return head + part("text/html", html(text))
    return (
        head + "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n" + part("text/plain", text)
        + "--b\r\n" + part("text/html", html(text)) + "--b--\r\n"
    )


def ubl(values):
    return f"""<?xml version="1.0" encoding="UTF-8"?><Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
 xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
<cbc:ID>1</cbc:ID><cbc:DueDate>{values['iso']}</cbc:DueDate><cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode><cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
<cac:AccountingCustomerParty><cbc:SupplierAssignedAccountID>{values['account']}</cbc:SupplierAssignedAccountID></cac:AccountingCustomerParty>
<cac:LegalMonetaryTotal><cbc:PayableAmount currencyID="EUR">{values['units'] / 100:.2f}</cbc:PayableAmount></cac:LegalMonetaryTotal></Invoice>"""


def main():
    rng = random.Random(11)
    # Making a key for each takes seconds; who signs for whom is tried in `authenticity.rs`.
    keys = Keys(one=True)
    mails = []

    def add(kind, language, layout, bill, held_out, attach=False):
        units = rng.randrange(100, 400_000)
        values = {
            "kind": kind, "units": units, "amount": money(units, language), "part": money(units * 4 // 5 + 1, language),
            "tax": money(units // 5 + 2, language), "account": f"{rng.randrange(10**7, 10**8)}",
        }
        due = (2026, rng.randrange(1, 13), rng.randrange(1, 29))
        values["due"], values["iso"] = day(due, language, rng), "%04d-%02d-%02d" % due
        values["start"], values["end"] = day((2026, 1, 1), language, rng), day((2026, 1, 31), language, rng)
        subject, text = (piece.format(**values) for piece in layout)
        raw = mail(rng, len(mails), kind, subject, text)
        if attach:
            head, _, body = raw.partition("MIME-Version: 1.0\r\n")
            raw = head + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + body + "\r\n--m\r\n"
            raw += 'Content-Disposition: attachment; filename="invoice.xml"\r\n' + part("application/xml", ubl(values)) + "--m--\r\n"
        signed = sign(keys, raw.encode(), DOMAINS[kind], "k1")
        mails.append({
            "raw": base64.b64encode(signed).decode(), "bill": bill, "held_out": held_out, "language": language, "kind": kind,
            "amount": units, "due": values["iso"], "account": values["account"][-4:],
        })

    for kind in KINDS:
        for language in ("en", "de", "fr", "es"):
            for held_out, group in ((False, TUNED), (True, HELD_OUT)):
                for layout in group[language]:
                    add(kind, language, layout, True, held_out)
            add(kind, language, ("Rechnung, invoice", "As attached"), True, False, attach=True)
            for layout in rng.sample(NO_BILL[language], 5):
                add(kind, language, layout, False, False)
    json.dump({"mails": mails, "keys": keys.records}, sys.stdout)


if __name__ == "__main__":
    main()
