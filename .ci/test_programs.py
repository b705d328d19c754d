#!/usr/bin/env python3
"""From cargo's messages: the name, the package's folder and the path of each test program, but the swarm's."""

import json
import os
import sys

for line in sys.stdin:
    message = json.loads(line)
    is_test = message.get("reason") == "compiler-artifact" and message["profile"]["test"]
    program = message.get("executable")
    target = message.get("target", {})
    # The bench whose claim is tested is one without a harness.
    is_test = is_test or target.get("kind") == ["bench"] and target.get("test")
    if is_test and program and target["name"] != "swarm":
        package = os.path.dirname(message["manifest_path"])
        print(f"{os.path.basename(package)}-{target['name']}", package, program, sep="\t")
