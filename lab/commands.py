"""The commands that speak to a running lab."""

from pathlib import Path

import hvac
import psutil
from hvac.exceptions import VaultError
from requests import RequestException

from lab import credentials, power, state
from lab.desk import control_socket
from lab.errors import LabError
from lab.invocation import command, relative
from lab.nodes.machine import NAS
from lab.services import openbao_setup
from lab.supervisor import control, lock
from lab.supervisor.sessions import Ledger

LONGEST_STOP = 20  # seconds


class CommandError(LabError):
    """The command could not be carried out; the text says why in one sentence."""


def down(root: Path) -> None:
    """Stop the lab and wait until it has gone. What a killed lab left running is ended too."""
    if not root.exists():
        print(f"No lab is running at {root}.")
        return
    try:
        with lock.held(root / "lock"):  # until all is swept: a lab that started meanwhile would lose its services
            left = Ledger(root / "sessions.json").sweep()
    except lock.HeldError:
        _stop(root)
        print("The lab has stopped.")
    else:
        print(
            f"Ended what a killed lab had left running: {', '.join(left)}" if left else f"No lab is running at {root}."
        )


def status(root: Path) -> int:
    """Show the services. The exit code is 0 only if the lab is up and every service healthy."""
    reply = _ask(root, {"do": "status"})
    for service in reply["services"]:
        process = f"pid {service['pid']:<8} {service['memory'] / 2**20:6.0f} MiB" if service["pid"] else ""
        print(f"{service['name']:<26} {service['state']:<9} {process}")
    total = sum(service["memory"] for service in reply["services"])
    print(f"{'lab at ' + str(root):<26} {reply['phase']:<9} {'':12} {total / 2**20:6.0f} MiB (proportional)")
    stored = state.load(root)
    nodes, servers = stored["addresses"].pop("nodes"), stored["addresses"].pop("servers")
    own = {f"{name}'s API": address for name, address in servers.items()}
    for name, address in {**stored["addresses"], **own, **nodes}.items():
        print(f"{name:<26} {address}")
    host, port = next(iter(nodes.values())).split(":")
    ssh = stored["ssh"]
    print(f"to log in to a node: ssh -i {relative(Path(ssh['key']))} -p {port} {ssh['user']}@{host}")
    off = [name for name in power.names() if not power.is_on(root / "nodes", name)]
    if off:
        print(f"switched off: {', '.join(off)}")
    for service in reply["services"]:
        if service["state"] in ("dead", "stopped"):
            print(f"{service['name']} does not run: start it again with: {command(root, 'start', service['name'])}")
    healthy = all(service["state"] == "healthy" for service in reply["services"])
    return 0 if healthy and reply["phase"] == "up" else 1


def switch(root: Path, name: str, *, on: bool) -> None:
    """Start or stop a service through its supervisor, or a node through its power switch."""
    if name in (*power.names(), NAS):
        _ask(root, {"do": "status"})  # a switch that nobody watches would only surprise the next start
        power.switch(root / "nodes", name, on=on)
        if not on and name != NAS:  # its heartbeats have to be missed before it is called NotReady
            print(f"{name} is off; Kubernetes notices within about 40 s.")
            return
    else:
        _ask(root, {"do": "start" if on else "stop", "name": name})
    print(f"{name} is {'on' if on else 'off'}.")


def password(root: Path, credential_id: str) -> None:
    """Print one password: that of the store, where a rotation has been since, and otherwise the one invented first."""
    try:
        invented = credentials.read(root / "credentials", credential_id)
    except LookupError as error:
        raise CommandError(error.args[0]) from None
    print(_rotated(root, credential_id) or invented)


def _rotated(root: Path, credential_id: str) -> str | None:
    """The current value in the running lab's store; None when the lab does not run or the store has none."""
    try:
        stored = state.load(root)
        token = credentials.read(root / "credentials", "openbao_root")
        client = hvac.Client(stored["addresses"]["openbao"], token, verify=stored["certificate_authority"], timeout=5)
        found = client.secrets.kv.v2.read_secret_version(
            f"svc/{credential_id}", mount_point=openbao_setup.MOUNT, raise_on_deleted_version=True
        )
    except (LabError, LookupError, VaultError, RequestException):
        return None
    return str(found["data"]["data"]["password"])


def _stop(root: Path) -> None:
    pid = _ask(root, {"do": "down"})["pid"]
    try:
        psutil.Process(pid).wait(LONGEST_STOP)
    except psutil.NoSuchProcess:
        pass  # it was quick
    except psutil.TimeoutExpired:
        raise CommandError(f"the lab at {root} (pid {pid}) did not stop within {LONGEST_STOP} s") from None


def _ask(root: Path, request: control.Request) -> control.Reply:
    try:
        reply = control.ask(control_socket(root), request)
    except control.NobodyError:
        raise CommandError(f"No lab is running at {root}: start it with `{command(root, 'up')}`.") from None
    if "error" in reply:
        raise CommandError(f"{reply['error']}.")
    return reply
