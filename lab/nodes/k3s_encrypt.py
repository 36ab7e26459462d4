"""`k3s secrets-encrypt status|enable|disable|rotate-keys`, as v1.32 answers; the server does the work.

The classic way (prepare, rotate, reencrypt) is left out.
"""

import json
import os
from pathlib import Path
from typing import Any

from lab.k3s.leaves import TLS, number
from lab.nodes import member_client
from lab.nodes.places import UNITS

ACTIONS = {
    "status": "",
    "enable": "secrets-encryption enabled",
    "disable": "secrets-encryption disabled",
    "rotate-keys": "keys rotated, reencryption started",
}
_URL = "https://127.0.0.1:6443/v1-k3s/encrypt"
_FAILED = "see server log for details: "


class Failure(Exception):
    """What K3s says; the command ends with code 1."""


def run(root: Path, action: str, output: str, version: str) -> str:
    """What it prints. Raises Failure."""
    place = f"{_URL}/{'status' if action == 'status' else 'config'}"
    verb = "Get" if action == "status" else "Put"
    state = json.loads((root / UNITS / "k3s.json").read_text()) if (root / UNITS / "k3s.json").exists() else {}
    if action == "status" and state.get("SubState") == "start":
        if number(version) < (1, 32, 5):
            (root / UNITS / "k3s.crash").touch()  # the server dies of it: k3s #12341
            raise Failure(f'{_FAILED}{verb} "{place}": EOF')
        raise Failure(f"{_FAILED}{place}: 503 Service Unavailable")
    etcd = root / TLS / "etcd"
    files = (str(etcd / "server-ca.crt"), str(etcd / "client.crt"), str(etcd / "client.key"))
    try:
        answer = member_client.ask(root, "https://127.0.0.1:2379", files, {"do": "encrypt", "action": action})
    except (member_client.Unreachable, OSError):
        reason = "dial tcp 127.0.0.1:6443: connect: connection refused"
        raise Failure(f'failed to get CA certs: Get "https://127.0.0.1:6443/cacerts": {reason}') from None
    if "error" in answer:
        raise Failure(f"{_FAILED}{answer['error']}")
    if action == "rotate-keys" and number(version) < (1, 32, 6):
        late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise Failure(f'{_FAILED}{verb} "{place}": {late}')  # although all is done: k3s #12413
    if action != "status":
        return ACTIONS[action]
    return json.dumps(answer, indent="\t") if output == "json" else _text(answer)


def _text(answer: dict[str, Any]) -> str:
    if "enable" not in answer:
        return "Encryption Status: Disabled, no configuration file found"
    hashes = "All hashes match" if answer.get("hashmatch") else answer.get("hasherror", "")
    lines = [
        f"Encryption Status: {'Enabled' if answer['enable'] else 'Disabled'}",
        f"Current Rotation Stage: {answer['stage']}",
        f"Server Encryption Hashes: {hashes}",
        "",
        "Active  Key Type  Name",
        "------  --------  ----",
    ]
    if answer["activekey"]:
        lines.append(f" *      AES-CBC   {answer['activekey']}")
    lines += [f"        AES-CBC   {name}" for name in answer.get("inactivekeys", [])]
    return os.linesep.join([*lines, ""])
