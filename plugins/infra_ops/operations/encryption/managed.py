"""The steps of the route by K3s' own tool. What K3s says on the Nodes decides, never how a command of it ended."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping

from infra_ops.checks import managed_encryption as checks
from infra_ops.checks.encryption import unsafe
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.retries import Patience
from infra_ops.clients.ssh import Answer
from infra_ops.facts import etcd
from infra_ops.facts.managed_encryption import read_managed
from infra_ops.models.encryption import IDENTITY, NONE, Providers, shown, words, writes
from infra_ops.models.managed_encryption import ACTIVE, Managed, ManagedWay, made
from infra_ops.models.plans import Step
from infra_ops.models.problems import Problem
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption.estate import Estate, NotInForce, Unsafe
from infra_ops.operations.servers import Write, restart

COMMAND_SECONDS = 90  # K3s' client gives up after 70
REWRITE_SECONDS = 600  # K3s writes up to 200 Secrets a second
LOAD_SECONDS = 150  # a server writes its annotation when it is up
PAUSE, TELL = 1.0, 10.0
NOT_READABLE = (
    "Somebody wrote them on a server that had the old key while K3s rotated: read them on {server}, which still has "
    "it, delete them there, and create them again on {new}"
)
log = logging.getLogger(__name__)


class NotDone(Problem):
    """K3s was told to do something and did not."""


def look_at(estate: Estate, server: str) -> Managed:
    """What there is on a server, once K3s is done with what it does. Raises NotInForce."""
    began = told = time.monotonic()
    while True:
        seen = read_managed(estate.servers.machine(server), estate.servers.node(server))
        busy = seen.stage == ACTIVE
        if not busy and not checks.changing(seen):
            return seen
        now = time.monotonic()
        if now - began > (REWRITE_SECONDS if busy else LOAD_SECONDS):
            what = "has not ended its rewriting" if busy else "has not said on its Node which list it has"
            raise NotInForce(f"K3s on {server} {what} for {now - began:.0f} s: look at its journal.")
        if busy and now - told > TELL:
            told = now
            counts = ", ".join(f"{count} with {name}" for name, count in sorted(estate.written(server).items()))
            log.info("K3s on %s rewrites every Secret: %s", server, counts)
        time.sleep(PAUSE)


def look_at_all(estate: Estate) -> dict[str, Managed]:
    return {name: look_at(estate, name) for name in estate.servers.names}


def key_in_use(seen: Mapping[str, Managed]) -> str:
    """The newest key with which a server writes; "" for none."""
    lists = {name: state for name, each in seen.items() if not isinstance(state := checks.in_force(each), str)}
    return next(reversed(checks.keys_in_use(lists)), "")


def reader(estate: Estate) -> Cluster:
    """The API of a server that reads what the newest key wrote: until all are restarted, the common address may not."""
    seen = look_at_all(estate)
    key = key_in_use(seen)
    name = next((name for name, each in seen.items() if key and each.in_process and writes(each.listed) == key), "")
    return estate.servers.api(name, patience=Patience.through_a_restart()) if name else estate.servers.cluster


def switch(estate: Estate, server: str, state: str, *, check: bool = False) -> None:
    """Have the server's configuration say `secrets-encryption: true` (`present`), or no more (`absent`)."""
    estate.servers.ansible.play("switch_managed_encryption", server, {"state": state}, check=check)


def enabled(estate: Estate) -> Action:
    """The step that has K3s make a list without keys, which its servers then take from the datastore."""
    step = Step("enable", "K3s' own list of providers", "none", "there")

    def look() -> str:
        return step.after if any(seen.listed for seen in look_at_all(estate).values()) else step.before

    def do(effects: Effects) -> None:
        server = _teller(estate)
        answer = effects.do(step.id, f"enable K3s' encryption on {server}", lambda: _tell(estate, server, "enable"))
        if look() == step.before:
            raise NotDone(f"`k3s secrets-encrypt enable` made no list on {server}: {_said(answer)}.")

    return Action(step, look, do)


def introduced(estate: Estate) -> list[Action]:
    """The steps, two a server, after which K3s' list is in force there. They lead back, too."""
    return [action for name in estate.servers.names for action in (_switched(estate, name), _introduced(estate, name))]


def _switched(estate: Estate, server: str) -> Action:
    step = Step(f"switch.{server}", f"the K3s configuration of {server}", "without", "secrets-encryption: true")

    def look() -> str:
        return step.after if look_at(estate, server).switched_by else step.before

    def to(state: str, effects: Effects) -> None:
        effects.do(step.id, f"set secrets-encryption on {server}: {state}", lambda: switch(estate, server, state))

    return Action(step, look, lambda effects: to("present", effects), lambda effects: to("absent", effects))


def _introduced(estate: Estate, server: str) -> Action:
    step = Step(f"introduce.{server}", f"the encryption of {server}", words(NONE), "by K3s' list")

    def state(name: str) -> str:
        found = checks.in_force(look_at(estate, name))
        return found if isinstance(found, str) else step.after if found else step.before

    def do(effects: Effects) -> None:
        for name in _in_order(estate, server, [each for each in estate.servers.names if state(each) == step.before]):
            listed = next(seen.listed for seen in look_at_all(estate).values() if seen.listed)
            _start_with(estate, name, listed, lambda what, call: effects.do(step.id, what, call))

    def undo(effects: Effects) -> None:
        seen = look_at(estate, server)
        effects.do(step.id, f"have K3s on {server} manage nothing", lambda: switch(estate, server, "absent"))
        _restart(estate, seen, NONE, lambda what, call: effects.do(step.id, what, call))

    return Action(step, lambda: state(server), do, undo)


def rotated(estate: Estate, way: ManagedWay) -> Action:
    """The step that has K3s make a key on one server and write every Secret with it. It has no way back."""
    step = Step("rotate", "the key of K3s' list", "none" if way.old == IDENTITY else way.old, "a new one")

    def look() -> str:
        lists = [seen.listed for seen in look_at_all(estate).values() if seen.in_process]
        return step.after if any(_is_new(way, listed) for listed in lists) else step.before

    def do(effects: Effects) -> None:
        _refuse_unready(look_at_all(estate))
        server = _teller(estate)
        effects.do(step.id, f"note that {way.old} wrote before", lambda: estate.keys.note_before(way.old))
        log.info("K3s on %s makes a key and writes every Secret with it; the others read them once restarted", server)
        answer = effects.do(step.id, f"rotate K3s' keys on {server}", lambda: _tell(estate, server, "rotate-keys"))
        if look() == step.before:
            raise NotDone(f"`k3s secrets-encrypt rotate-keys` made no key on {server}: {_said(answer)}.")

    return Action(step, look, do)


def followed(estate: Estate, way: ManagedWay) -> list[Action]:
    """The steps, one a server, that restart it with the new list."""
    return [_followed(estate, way, server) for server in estate.servers.names]


def _followed(estate: Estate, way: ManagedWay, server: str) -> Action:
    before = "none" if way.old == IDENTITY else way.old
    step = Step(f"encrypt.{server}", f"the key of {server}", before, "the new one, since its start")

    def state(seen: Managed) -> str:
        found = checks.in_force(seen)
        if isinstance(found, str):
            return found
        return step.after if _is_new(way, found) and _started_since(seen, writes(found)) else step.before

    def do(effects: Effects) -> None:
        everywhere = look_at_all(estate)
        lacking = [name for name, seen in everywhere.items() if state(seen) != step.after]
        teller, listed = next((name, seen.listed) for name, seen in everywhere.items() if _is_new(way, seen.listed))
        lacking.sort(key=lambda name: everywhere[name].listed == listed)  # who cannot read comes first
        for name in _in_order(estate, server, lacking):
            if why := unsafe(listed, {}, estate.written(name)):
                raise Unsafe(f"{name} is not restarted: {why}. {NOT_READABLE.format(server=name, new=teller)}.")
            _start_with(estate, name, listed, lambda what, call: effects.do(step.id, what, call))

    return Action(step, lambda: state(look_at(estate, server)), do)


def _is_new(way: ManagedWay, listed: Providers) -> bool:
    return writes(listed) not in (IDENTITY, way.old)


def _started_since(seen: Managed, key: str) -> bool:
    """K3s wants even the server that made the key to be restarted after that."""
    moment = made(key)
    return moment is None or seen.unit.started > moment.timestamp()


def _refuse_unready(seen: Mapping[str, Managed]) -> None:
    """Raises Unsafe unless every server has the same list and will have it after its next start."""
    for name, each in seen.items():
        if not each.in_process or not each.switched_by:
            raise Unsafe(f"K3s is not told to rotate: {name} does not work by secrets-encryption: true.")
    if len({each.noted for each in seen.values()}) > 1:
        hashes = ", ".join(f"{name} {each.stage} {each.noted[:8]}" for name, each in seen.items())
        raise Unsafe(f"K3s is not told to rotate: its servers have different lists ({hashes}).")


def _in_order(estate: Estate, server: str, lacking: list[str]) -> list[str]:
    """Of those that have to be restarted the ones up to `server`, and first the leader of etcd.

    Before the leader was restarted, others refuse to start with what is "newer than datastore" (k3s-io/k3s#5442).
    """
    first = [name for name in lacking if etcd.leads(estate.servers.machine(name))]
    ordered = [*first, *(name for name in lacking if name not in first)]
    return ordered[: ordered.index(server) + 1]


def _start_with(estate: Estate, server: str, listed: Providers, write: Write) -> None:
    """Restart a server so that it works by K3s' list. Raises NotInForce when it then has another one."""
    seen = look_at(estate, server)
    if not seen.switched_by:
        write(f"set secrets-encryption on {server}: present", lambda: switch(estate, server, "present"))
    _restart(estate, seen, listed, write)


def _restart(estate: Estate, seen: Managed, wanted: Providers, write: Write) -> None:
    restart(estate.servers, seen.server, math.floor(seen.unit.started) + 1, write)
    state = checks.in_force(look_at(estate, seen.server))
    if state != wanted:
        raise NotInForce(f"{seen.server} runs, but by {shown(state)} and not by {words(wanted)}: look at its journal.")


def _teller(estate: Estate) -> str:
    """The server that is told: not etcd's leader, which is the first to restart while nobody else has the new key."""
    names = estate.servers.names
    return next((name for name in names if not etcd.leads(estate.servers.machine(name))), names[0])


def _tell(estate: Estate, server: str, command: str) -> Answer:
    """Whatever its status: it may report a failure after success (k3s-io/k3s#12373)."""
    return estate.servers.machine(server).ask("sudo", "k3s", "secrets-encrypt", command, seconds=COMMAND_SECONDS)


def _said(answer: Answer) -> str:
    return (answer.errors or answer.output).decode(errors="replace").strip()[-300:] or "it said nothing"
