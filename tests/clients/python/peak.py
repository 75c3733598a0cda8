"""Runs a command and says how much memory it took at most: `peak.py FILE COMMAND …`. Standard output goes to FILE."""

import json, resource, subprocess, sys

output, *command = sys.argv[1:]
with open(output, "wb") as file:
    code = subprocess.run(command, stdout=file).returncode
# Kilobytes on Linux, bytes on macOS.
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({"exit": code, "peak": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit}))
