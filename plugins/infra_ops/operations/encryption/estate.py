"""What encryption is worked on with: the servers, what each has in force, and the keys."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from infra_ops.checks import encryption as checks
from infra_ops.clients.kv import Kv
from infra_ops.clients.retries import Patience
from infra_ops.clients.vault import Vault
from infra_ops.facts import encryption as facts
from infra_ops.facts import etcd
from infra_ops.facts.k3s import parse_version
from infra_ops.models.encryption import Providers, configuration, shown, words
from infra_ops.models.inventory import Inventory
from infra_ops.models.problems import Problem, Refusal
from infra_ops.models.servers import Encrypting
from infra_ops.operations.encryption.keys import Keys
from infra_ops.operations.servers import Servers, Write, restart

LOAD_SECONDS = 150  # a server looks for a changed file once a minute
PAUSE = 1.0
Seen = TypeVar("Seen")


class NotInForce(Problem):
    """A server was given a list and does not work by it."""


class Unsafe(Refusal):
    """Somebody would not be able to read what another has written."""


class Estate:
    """Made anew for every task."""

    def __init__(self, inventory: Inventory) -> None:
        self.servers = Servers(inventory)
        self.keys = Keys(Kv(Vault(), inventory.store.mount))

    @property
    def first(self) -> str:
        """The server that is asked where one is enough."""
        return self.servers.names[0]

    def seen(self, server: str) -> Encrypting:
        """What there is on a server, once it has taken over the file that it has. Raises NotInForce, and Problem."""
        api = self.servers.api(server, patience=Patience.through_a_restart())
        return _wait(
            lambda: facts.read_encryption(self.servers.machine(server), api, self.servers.node(server)),
            lambda seen: not checks.loading(seen),
            f"{server} has not taken over its changed {facts.FILE} within {LOAD_SECONDS} s: look at its journal.",
        )

    def list_of(self, server: str) -> Providers | str:
        """The list in force on a server; a text for what is none of ours."""
        return self.judge(self.seen(server))

    def judge(self, seen: Encrypting) -> Providers | str:
        return checks.in_force(seen, checks.known_lists(self.keys.all()), facts.FILE)

    def lists(self) -> dict[str, Providers | str]:
        """Those of all servers."""
        return {server: self.list_of(server) for server in self.servers.names}

    def versions(self) -> dict[str, str]:
        """What K3s each server runs."""
        return {
            name: parse_version(self.servers.machine(name).run("k3s", "--version").text) for name in self.servers.names
        }

    def here(self) -> str:
        """The route by which something is there already, "" for none. A single server with our file decides for all."""
        found = [self.seen(server) for server in self.servers.names]
        if any(each.file or each.drop_in or each.started_with for each in found):
            return "file"
        return "managed" if any(each.managed for each in found) else ""

    def written(self, server: str) -> dict[str, int]:
        """How many Secrets of this server's datastore are written by what."""
        return dict(etcd.counted(etcd.written_by(self.servers.machine(server))))

    def bring(self, server: str, new: Providers, write: Write) -> None:
        """Have a server work by another list, whatever of that is done already. Raises Unsafe, NotInForce, Problem."""
        self._refuse_unsafe(server, new)
        ansible = self.servers.ansible
        if new:
            content = configuration(new, self.keys.all())
            play = "write_encryption_config"
            write(f"write the list {words(new)} on {server}", lambda: ansible.play(play, server, {"content": content}))
        else:
            self._withdraw(server, "unused", write)
        seen = self.seen(server)
        if bool(seen.started_with) != bool(new):
            restart(self.servers, server, math.floor(seen.unit.started) + 1, write)
        _wait(
            lambda: self.list_of(server),
            lambda state: state == new,
            f"{server} runs, but does not work by the list {words(new)}: look at its journal.",
        )
        if not new:
            self._withdraw(server, "absent", write)

    def _withdraw(self, server: str, state: str, write: Write) -> None:
        what = "the arguments" if state == "unused" else "the keys"
        play = "withdraw_encryption_config"
        write(f"take {what} away from {server}", lambda: self.servers.ansible.play(play, server, {"state": state}))

    def _refuse_unsafe(self, server: str, new: Providers) -> None:
        lists = self.lists()
        strange = {name: state for name, state in lists.items() if isinstance(state, str)}
        for name, state in strange.items():
            raise Unsafe(f"{server} is left alone, because {name} is not understood: {shown(state)}.")
        others = {name: state for name, state in lists.items() if name != server and not isinstance(state, str)}
        if why := checks.unsafe(new, others, self.written(server)):
            raise Unsafe(f"{server} is not given the list {words(new)}: {why}.")


def _wait(ask: Callable[[], Seen], is_good: Callable[[Seen], bool], complaint: str) -> Seen:
    deadline = time.monotonic() + LOAD_SECONDS
    while not is_good(answer := ask()):
        if time.monotonic() > deadline:
            raise NotInForce(complaint)
        time.sleep(PAUSE)
    return answer
