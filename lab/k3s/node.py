"""What a K3s server writes on its Node."""

import json
from collections.abc import Sequence

NODE_ARGS = "k3s.io/node-args"


def annotations(arguments: Sequence[str]) -> dict[str, str]:
    """`arguments`: what it was started with."""
    return {NODE_ARGS: json.dumps(list(arguments), separators=(",", ":"))}
