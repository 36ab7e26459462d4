"""What runs inside a toolbox pod: `python -m infra_ops nodes [--result FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra_ops.clients.kubernetes import Cluster, ClusterError
from infra_ops.facts.nodes import read_nodes


def nodes() -> dict[str, Any]:
    """The nodes of the cluster, as this pod's service account sees them."""
    return {"nodes": [asdict(node) for node in read_nodes(Cluster())]}


OPERATIONS = {"nodes": nodes}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="infra_ops", description=__doc__)
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("--result", type=Path, metavar="FILE", help="write the JSON result there, not to the terminal")
    chosen = parser.parse_args(arguments)
    try:
        result = json.dumps(OPERATIONS[chosen.operation]())
    except ClusterError as error:  # the last line of the log is what Airflow shows: it must be the reason
        print(f"{chosen.operation} failed: {error}", file=sys.stderr)
        return 1
    if chosen.result:
        chosen.result.write_text(result)
        print(f"{chosen.operation}: result written to {chosen.result}")
    else:
        print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
