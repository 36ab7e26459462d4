"""Write definitions-v1.32.json, the OpenAPI definitions of the built-in kinds, from the package kubernetes-validate.

Run once for each Kubernetes version, with the package unpacked anywhere (it need not be installed):
``python lab/apiserver/data/generate_definitions.py …/kubernetes-json-schema/v1.32.0-local/_definitions.json``.
That file is JSON schema made from the real server's OpenAPI document; this undoes what it changes: references, a second
type "null" on every optional field, and an enum with the one value that kind and apiVersion may have.
"""

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "definitions-v1.32.json"


def openapi(node: Any) -> Any:
    """A JSON schema node as OpenAPI v3 says it."""
    if isinstance(node, str):
        return node.replace("#/$defs/", "#/components/schemas/")
    if isinstance(node, list):
        return [openapi(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: openapi(value) for key, value in node.items()}
    if isinstance(node.get("type"), list):
        (out["type"],) = (name for name in node["type"] if name != "null")
    return out


def main(source: Path) -> None:
    definitions = {name: openapi(node) for name, node in json.loads(source.read_text())["$defs"].items()}
    for definition in definitions.values():
        for field in ("kind", "apiVersion"):
            definition.get("properties", {}).get(field, {}).pop("enum", None)
    text = json.dumps({"definitions": definitions}, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    TARGET.write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
