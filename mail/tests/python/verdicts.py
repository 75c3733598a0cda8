"""The tests that CEN publishes for the rules of EN 16931: argument, the folder of published samples.

Each states of a fragment of an invoice that a rule is broken or kept. Out: [{"file", "rule", "broken", "xml"}]
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as ET

NAMESPACE = "{http://difi.no/xsd/vefa/validator/1.0}"
VERDICTS = {"error": True, "fatal": True, "success": False}


def cases(path):
    for test in ET.parse(path).getroot().iter(f"{NAMESPACE}test"):
        stated = test.find(f"{NAMESPACE}assert")
        fragment = next((part for part in test if part.tag.endswith(("}Invoice", "}CreditNote"))), None)
        if stated is None or fragment is None:
            continue
        for verdict in stated:
            broken = VERDICTS.get(verdict.tag.removeprefix(NAMESPACE))
            if broken is not None and verdict.text:
                xml = ET.tostring(fragment, encoding="unicode")
                yield {"file": path.name, "rule": verdict.text.strip(), "broken": broken, "xml": xml}


def main(folder):
    paths = sorted(folder.glob("mock_einvoice-*/tests/samples/external/en16931/unit/*/*.xml"))
    json.dump([case for path in paths for case in cases(path)], sys.stdout)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
