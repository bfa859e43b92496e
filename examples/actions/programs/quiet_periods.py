"""Hours in which the values are below a part of the highest one."""

import json
import sys

params = json.load(sys.stdin)
rows = params["data"]
top = max((row["value"] for row in rows), default=0)
quiet = [row for row in rows if row["value"] < top * params["threshold"]]
json.dump({"windows": [{"tenant": row["tenant"], "hour": row["hour"]} for row in quiet]}, sys.stdout)
