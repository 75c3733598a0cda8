"""What published invoices say, read by another reader than ours: Python's ElementTree. Argument: the folder of samples.

Out: {"samples": [{"name", "syntax", "credit", "amount", "currency", "due", "raw"}], "documents": [{"name", "raw", …}]}
"""

import base64
import json
import pathlib
import sys
import xml.etree.ElementTree as ET
from decimal import Decimal

PACKAGES = ("mock_einvoice-*", "factur_x-*", "invoice2data-0.3.6")
CREDIT = {"81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "502", "503", "532"}
# Invoices that the buyer writes: whoever gets one is owed it.
CREDIT |= {"389", "500", "501", "527"}
CAC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2}"
CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"
RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"
RSM = "{urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100}"
UDT = "{urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100}"


def text(node, path):
    found = node.find(path)
    return None if found is None or found.text is None else found.text.strip()


def ubl(root):
    due = text(root, f"{CBC}DueDate") or text(root, f"{CAC}PaymentMeans/{CBC}PaymentDueDate")
    return {
        "syntax": "ubl",
        "credit": root.tag.endswith("}CreditNote") or text(root, f"{CBC}InvoiceTypeCode") in CREDIT,
        "amount": text(root, f"{CAC}LegalMonetaryTotal/{CBC}PayableAmount"),
        "currency": text(root, f"{CBC}DocumentCurrencyCode"),
        "due": due,
    }


def cii(root):
    settlement = root.find(f"{RSM}SupplyChainTradeTransaction/{RAM}ApplicableHeaderTradeSettlement")
    due = text(settlement, f"{RAM}SpecifiedTradePaymentTerms/{RAM}DueDateDateTime/{UDT}DateTimeString")
    return {
        "syntax": "cii",
        "credit": text(root, f"{RSM}ExchangedDocument/{RAM}TypeCode") in CREDIT,
        "amount": text(settlement, f"{RAM}SpecifiedTradeSettlementHeaderMonetarySummation/{RAM}DuePayableAmount"),
        "currency": text(settlement, f"{RAM}InvoiceCurrencyCode"),
        "due": f"{due[:4]}-{due[4:6]}-{due[6:]}" if due else None,
    }


def samples(folder):
    for path in sorted(path for package in PACKAGES for path in folder.glob(f"{package}/**/*.xml")):
        parts = set(path.parts)
        if "unit" in parts or "xsd_and_schematron" in parts:
            continue
        root = ET.parse(path).getroot()
        name = root.tag.rsplit("}", 1)[-1]
        if root.tag.startswith(RSM):
            said = cii(root)
        elif name in ("Invoice", "CreditNote") and "ubl:schema:xsd:" in root.tag:
            said = ubl(root)
        else:
            # Orders, responses, other countries' forms: no invoice of EN 16931.
            said = {"syntax": "other", "credit": False, "amount": None, "currency": None, "due": None}
        if said["amount"] is not None:
            said["amount"] = str(Decimal(said["amount"]).normalize().quantize(Decimal("0.01")))
        yield {"name": path.name, **said, "raw": base64.b64encode(path.read_bytes()).decode()}


def documents(folder):
    for path in sorted(path for package in PACKAGES for path in folder.glob(f"{package}/**/*.pdf")):
        expected = path.with_suffix(".json")
        said = json.loads(expected.read_text())[0] if expected.exists() else {}
        yield {
            "name": path.name,
            "amount": f"{said['amount']:.2f}" if "amount" in said else None,
            "currency": said.get("currency"),
            "due": said.get("date_due"),
            "raw": base64.b64encode(path.read_bytes()).decode(),
        }


def main():
    folder = pathlib.Path(sys.argv[1])
    json.dump({"samples": list(samples(folder)), "documents": list(documents(folder))}, sys.stdout)


if __name__ == "__main__":
    main()
