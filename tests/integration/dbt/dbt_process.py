"""dbt in a process of its own that parses the project once and then obeys: one JSON list of arguments a line in,
one JSON line out, marked so that dbt's own output cannot be taken for it."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

MARK = "@@dbt "


def answer(value: dict[str, Any]) -> None:
    """Write one answer."""
    sys.stdout.write(MARK + json.dumps(value) + "\n")
    sys.stdout.flush()


def main(common: list[str]) -> None:
    """Parse, then run what is asked until the input ends."""
    parsed = dbtRunner().invoke(["parse", *common])
    answer({"success": parsed.success, "error": str(parsed.exception or ""), "nodes": []})
    runner = dbtRunner(manifest=cast(Manifest, parsed.result))
    for line in sys.stdin:
        outcome = runner.invoke([*json.loads(line), *common])
        nodes = [
            {
                "id": result.node.unique_id,
                "status": str(result.status),
                "message": result.message or "",
            }
            for result in getattr(outcome.result, "results", [])
            if getattr(result, "node", None) is not None
        ]
        answer({"success": outcome.success, "error": str(outcome.exception or ""), "nodes": nodes})


if __name__ == "__main__":
    main(sys.argv[1:])
