"""What encryption is worked on with: the servers, what each has in force, and the keys."""

from __future__ import annotations

import math
from collections.abc import Mapping

from infra_ops.checks import encryption as checks
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.clients.kv import Kv
from infra_ops.clients.retries import Patience
from infra_ops.clients.ssh import CommandFailed, Unreachable
from infra_ops.clients.vault import Vault
from infra_ops.facts import encryption as facts
from infra_ops.facts import etcd
from infra_ops.facts.k3s import parse_version
from infra_ops.models.encryption import Providers, configuration, shown, words
from infra_ops.models.inventory import Inventory
from infra_ops.models.problems import Problem, Refusal
from infra_ops.models.servers import Encrypting
from infra_ops.operations.encryption.keys import Keys
from infra_ops.operations.servers import Servers, Write, equal_secrets, restart, wait_until_it_serves
from infra_ops.operations.waiting import asked_until

LOAD_SECONDS = 150  # a server looks for a changed file once a minute


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
        if checks.loading(seen := self._settled(server)):
            raise NotInForce(
                f"{server} has not taken over its changed {facts.FILE} within {LOAD_SECONDS} s: look at its journal."
            )
        return seen

    def all_seen(self) -> dict[str, Encrypting]:
        """The same for every server."""
        return {server: self.seen(server) for server in self.servers.names}

    def glance(self, server: str) -> Encrypting:
        """What there is on a server now, be it taken over or not, and whether its API answers or not."""
        machine, node = self.servers.machine(server), self.servers.node(server)
        try:
            return facts.read_encryption(machine, self.servers.api(server, patience=Patience.through_a_restart()), node)
        except ClusterError:
            return facts.read_encryption(machine, None, node)

    def _settled(self, server: str) -> Encrypting:
        """What there is on a server when it has taken its file over, or has had the time for it."""
        return asked_until(
            lambda seen: not checks.loading(seen) and not checks.is_awaited(seen),
            lambda: self.glance(server),
            LOAD_SECONDS,
        )

    def list_of(self, server: str) -> Providers | str:
        """The list in force on a server; a text for what is none of ours."""
        return self.judge(self.seen(server))

    def judge(self, seen: Encrypting) -> Providers | str:
        return self.judged({seen.server: seen})[seen.server]

    def judged(self, seen: Mapping[str, Encrypting]) -> dict[str, Providers | str]:
        """The list in force on each server; a text for what is none of ours."""
        known = checks.known_lists(self.keys.all())
        return {server: checks.in_force(each, known, facts.FILE) for server, each in seen.items()}

    def lists(self) -> dict[str, Providers | str]:
        """Those of all servers."""
        return self.judged(self.all_seen())

    def versions(self) -> dict[str, str]:
        """What K3s is installed on each server; a restart starts it."""
        return {
            name: parse_version(self.servers.machine(name).run("k3s", "--version").text) for name in self.servers.names
        }

    def running(self) -> dict[str, str]:
        """What K3s each server runs."""
        nodes = {name: self.servers.node(name) for name in self.servers.names}
        return {name: str(node["status"]["nodeInfo"]["kubeletVersion"]) for name, node in nodes.items()}

    def here(self) -> str:
        """The route by which something is there already, "" for none. A single server with our file decides for all."""
        found = self.all_seen().values()
        if any(each.file or each.drop_in or each.started_with for each in found):
            return "file"
        return "managed" if any(each.managed for each in found) else ""

    def written(self, server: str) -> dict[str, int]:
        """How many Secrets of this server's datastore are written by what."""
        return dict(etcd.counted(etcd.written_by(self.servers.machine(server))))

    def used(self) -> dict[str, int]:
        """The same of the first server that tells it: the member of one whose K3s does not start tells nothing."""
        for server in self.servers.names[:-1]:
            try:
                return self.written(server)
            except (CommandFailed, Unreachable):
                continue
        return self.written(self.servers.names[-1])

    def bring(self, server: str, new: Providers, write: Write) -> None:
        """Have a server work by another list, whatever of that is done already. Raises Unsafe, NotInForce, Problem.

        One that does not take a changed file over by itself is restarted, and so is nobody else.
        """
        self._refuse_unsafe(server, new)
        ansible = self.servers.ansible
        if new:
            content = configuration(new, self.keys.all())
            play = "write_encryption_config"
            write(f"write the list {words(new)} on {server}", lambda: ansible.play(play, server, {"content": content}))
        else:
            self._withdraw(server, "unused", write)
        seen = self._settled(server)
        if bool(seen.started_with) != bool(new) or checks.loading(seen):
            restart(self.servers, server, math.floor(seen.unit.started) + 1, write)
        elif not new:  # it may have failed to start with the list, which systemd now tries without it
            wait_until_it_serves(self.servers, server, equal_secrets)
        if asked_until(lambda state: state == new, lambda: self.list_of(server), LOAD_SECONDS) != new:
            raise NotInForce(f"{server} runs, but does not work by the list {words(new)}: look at its journal.")
        if not new:
            self._withdraw(server, "absent", write)

    def _withdraw(self, server: str, state: str, write: Write) -> None:
        what = "the arguments" if state == "unused" else "the keys"
        play = "withdraw_encryption_config"
        write(f"take {what} away from {server}", lambda: self.servers.ansible.play(play, server, {"state": state}))

    def _refuse_unsafe(self, server: str, new: Providers) -> None:
        # What the server itself is about to lose need not be in force, or be taken over ever.
        seen = {name: self.glance(name) if name == server else self.seen(name) for name in self.servers.names}
        others: dict[str, Providers] = {}
        for name, state in self.judged(seen).items():
            if isinstance(state, str):
                raise Unsafe(f"{server} is left alone, because {name} is not understood: {shown(state)}.")
            if name != server:
                others[name] = state
        if why := checks.unsafe(new, others, self.used()):
            raise Unsafe(f"{server} is not given the list {words(new)}: {why}.")
