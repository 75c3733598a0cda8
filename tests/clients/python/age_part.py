"""Opens an extracted part with pyrage: `age_part.py IDENTITY PART OUTPUT`."""

import sys
from pathlib import Path

import pyrage

identity, part, output = map(Path, sys.argv[1:])
secret = next(line for line in identity.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-1"))
output.write_bytes(pyrage.decrypt(part.read_bytes(), [pyrage.x25519.Identity.from_str(secret)]))
