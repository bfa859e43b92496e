"""Reads parameters as JSON from stdin, writes its answer as JSON to stdout: all that an action has to do."""

import json
import sys

SAMPLE = {
    "sample://metrics": [
        {"tenant": "acme", "hour": 1, "value": 12},
        {"tenant": "acme", "hour": 9, "value": 240},
        {"tenant": "bolt", "hour": 2, "value": 5},
        {"tenant": "bolt", "hour": 10, "value": 180},
    ]
}

params = json.load(sys.stdin)
print(f"asking {params['endpoint']} for {params['query']}", file=sys.stderr)
rows = SAMPLE.get(params["endpoint"])
if rows is None:
    print("connection refused", file=sys.stderr)
    sys.exit(1)
json.dump(rows, sys.stdout)
