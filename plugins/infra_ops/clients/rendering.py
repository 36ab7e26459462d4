"""What Ansible makes of a repository's playbooks: every variable, argument and template, as hashes.

A program of its own, because it runs in Ansible's own classes (of the pinned version) and must not leave their state in
anything else. It reads its order (see `Order`) as JSON on its input and writes `{place: hash}` to its output, an empty
hash for what cannot be rendered before the play runs. No task is carried out, and no value leaves it. Look-ups are:
rendering `pipe`, `url` or `password` runs the command, asks the address, writes the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

# Different in every process or folder, or objects of Ansible's own.
EXPRESSIONS = {"that", "var"}  # without braces
OWN = {"hostvars", "vars", "omit", "groups", "environment", "ansible_facts"}


class Order(TypedDict):
    """Paths are relative to the working folder, which holds ansible.cfg; `vault_ids` as ansible-playbook takes them."""

    playbooks: list[str]
    inventories: list[str]
    vault_ids: list[str]


def main() -> None:
    """Renders what the order names. Ends with 1 and one line on its error output when Ansible cannot read it."""
    from ansible.errors import AnsibleError

    order: Order = json.load(sys.stdin)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ansible's own messages are none of the answer
    try:
        json.dump(dict(render(order)), output)
    except AnsibleError as error:
        sys.exit(f"ERROR! {error.message.splitlines()[0]}")
    output.close()


def render(order: Order) -> Iterator[tuple[str, str]]:
    """Each place and the hash of what it renders to."""
    from ansible import context
    from ansible.cli import CLI
    from ansible.inventory.manager import InventoryManager
    from ansible.module_utils.common.collections import ImmutableDict
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook import Playbook
    from ansible.plugins.loader import init_plugin_loader
    from ansible.vars.manager import VariableManager

    context.CLIARGS = ImmutableDict(check=False, diff=False, verbosity=0, tags=["all"], skip_tags=[])
    init_plugin_loader([])
    loader = DataLoader()
    loader.set_vault_secrets(CLI.setup_vault_secrets(loader, order["vault_ids"], auto_prompt=False))
    inventory = InventoryManager(loader=loader, sources=order["inventories"])
    manager = VariableManager(loader=loader, inventory=inventory)
    for path in order["playbooks"]:
        playbook = Playbook.load(path, variable_manager=manager, loader=loader)
        for number, play in enumerate(playbook.get_plays()):
            for host in inventory.get_hosts(play.hosts):
                for place, digest in _of_host(loader, manager, play, host):
                    yield f"{path}/{number}/{host.name}/{place}", digest


def _of_host(loader: Any, manager: Any, play: Any, host: Any) -> Iterator[tuple[str, str]]:
    from ansible.template import Templar

    variables = manager.get_vars(play=play, host=host)
    templar = Templar(loader=loader, variables=variables)
    for name in sorted(set(variables) - OWN):
        yield from _leaves(templar, f"variable {name}", variables[name])
    for number, task in enumerate(_tasks(play.compile())):
        own = manager.get_vars(play=play, host=host, task=task)
        templar = Templar(loader=loader, variables=own)
        conditions = [task.when, task.changed_when, task.failed_when, task.until]
        place = f"task {number} {task.action}"
        yield from _leaves(templar, place, {**task.args, "conditions": {"that": conditions}})
        if task.action.rpartition(".")[2] == "template":
            yield from _leaves(templar, f"{place} file", _template(loader, templar, task))


def _tasks(blocks: list[Any]) -> Iterator[Any]:
    for item in blocks:
        if hasattr(item, "block"):
            yield from _tasks([*item.block, *item.rescue, *item.always])
        else:
            yield item


def _template(loader: Any, templar: Any, task: Any) -> str:
    """The file that the task would fill in."""
    source = templar.template(task.args.get("src", ""), fail_on_undefined=False)
    path = loader.path_dwim_relative_stack(task.get_search_path(), "templates", source)
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


def _leaves(templar: Any, place: str, value: Any, *, expression: bool = False) -> Iterator[tuple[str, str]]:
    """Each leaf for itself: what waits for a result of a play is empty, and hides nothing beside it."""
    from ansible.errors import AnsibleError

    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(templar, f"{place}.{key}", item, expression=key in EXPRESSIONS)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _leaves(templar, f"{place}[{number}]", item, expression=expression)
    else:
        try:
            text = "{{ " + value + " }}" if expression and isinstance(value, str) else value
            rendered = templar.template(text, fail_on_undefined=True)
        except (AnsibleError, RecursionError):
            yield place, ""
        else:
            shown = json.dumps(rendered, sort_keys=True, default=str)
            yield place, hashlib.sha256(shown.encode()).hexdigest()


if __name__ == "__main__":
    main()
