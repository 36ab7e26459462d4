"""The command line of the package: what runs inside a toolbox pod, and what a person runs in a terminal.

nodes          lists the nodes of the cluster
operate        carries out one phase of a runbook's operation
adopt          stores today's live password of a credential, after proving that it logs in
schemas        writes the JSON schemas of the files under include/
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra_ops.models.problems import Problem, Refusal


def nodes(chosen: argparse.Namespace) -> dict[str, Any]:
    """The nodes of the cluster, as this pod's service account sees them."""
    from infra_ops.clients.kubernetes import Cluster
    from infra_ops.facts.nodes import read_nodes

    return {"nodes": [asdict(node) for node in read_nodes(Cluster())]}


def operate(chosen: argparse.Namespace) -> dict[str, Any]:
    """One phase of an operation (operations/phases.py), as a task of its runbook asked for it."""
    from infra_ops.operations.phases import Call, answer

    call = Call(**json.loads(chosen.call))
    try:
        return answer(call, lambda text: print(text, flush=True))
    except Problem as problem:  # the task has to know of which kind it is, and an exit code cannot tell
        print(f"{call.phase} failed: {problem}", file=sys.stderr)
        return {"problem": str(problem), "final": isinstance(problem, Refusal)}


def adopt(chosen: argparse.Namespace) -> dict[str, Any]:
    """Asks for the login that is in use today and stores it."""
    from infra_ops.operations.adopting import adopt_from_secret, adopt_from_terminal

    if chosen.secret:
        version = adopt_from_secret(chosen.credential, chosen.username, chosen.secret)
    else:
        version = adopt_from_terminal(chosen.credential, chosen.username)
    return {"credential": chosen.credential, "version": version}


def schemas(chosen: argparse.Namespace) -> dict[str, Any]:
    """Writes the JSON schemas of cluster.yaml, roadmap.yaml and checks.yaml into a folder."""
    from infra_ops.models import schemas as models

    written = models.schemas()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (chosen.folder / name).write_text(text)
    return {"written": sorted(written)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="infra_ops", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(result=None)
    commands = parser.add_subparsers(dest="operation", required=True)

    in_pods = argparse.ArgumentParser(add_help=False)
    in_pods.add_argument("--result", type=Path, metavar="FILE", help="write the JSON result there, not to the terminal")

    listing = commands.add_parser("nodes", parents=[in_pods], help=nodes.__doc__)
    listing.set_defaults(run=nodes)

    operating = commands.add_parser("operate", parents=[in_pods], help=operate.__doc__)
    operating.add_argument("call", help="as JSON")
    operating.set_defaults(run=operate)

    adopting = commands.add_parser("adopt", help=adopt.__doc__)
    adopting.add_argument("credential", help="its id in include/cluster.yaml")
    adopting.add_argument("--username", default="", help="asked for when it is not given")
    adopting.add_argument(
        "--secret",
        default="",
        metavar="NAMESPACE/NAME/KEY",
        help="take the password from this key of a Secret instead of asking for it",
    )
    adopting.set_defaults(run=adopt)

    exporting = commands.add_parser("schemas", help=schemas.__doc__)
    exporting.add_argument("folder", type=Path)
    exporting.set_defaults(run=schemas)
    return parser


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("infra_ops").setLevel(logging.INFO)  # what Ansible does, and how far a long step is
    try:
        result = json.dumps(chosen.run(chosen))
    except Problem as problem:  # the last line of the log is what Airflow shows: it must be the reason
        print(f"{chosen.operation} failed: {problem}", file=sys.stderr)
        return 1
    if chosen.result:
        chosen.result.write_text(result)
        print(f"{chosen.operation}: result written to {chosen.result}")
    else:
        print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
