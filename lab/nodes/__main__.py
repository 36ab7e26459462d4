"""`python -m lab.nodes`: all nodes in one process, until SIGTERM."""

import argparse
import asyncio
import functools
import logging
import signal
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from lab import K3S_VERSION, power, sandbox
from lab.errors import LabError
from lab.k3s.agent import Agent
from lab.k3s.unit import Unit
from lab.nodes import k3s, machine, tree
from lab.nodes.node import Node

log = logging.getLogger("lab.nodes")

_LOOK_SECONDS = 0.2  # how often the power switches are looked at


def _ports(text: str) -> dict[str, int]:
    """`rpi-1=4001,rpi-2=4002` as a mapping."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: int(port) for name, _, port in pairs}


async def _follow_switch(node: Node) -> None:
    """Keeps the node as its switch says; a node whose init process ended starts again."""
    while True:
        if node.machine.is_on and not node.is_up:
            await node.power_off()
            try:
                await node.power_on()
            except OSError as error:
                log.error("%s does not start: %s", node.machine.name, error)
                await node.power_off()
                await asyncio.sleep(1)
        elif not node.machine.is_on and node.is_up:
            await node.power_off()
        await asyncio.sleep(_LOOK_SECONDS)


async def _follow_schedule(nodes: list[Node]) -> None:
    """Takes the servers' etcd snapshots, as their K3s would."""
    while True:
        due = (int(time.time()) // k3s.SNAPSHOT_PERIOD + 1) * k3s.SNAPSHOT_PERIOD
        await asyncio.sleep(due - time.time())
        for node in nodes:
            if node.is_up and node.machine.role == "server":
                k3s.take_scheduled_snapshot(node.machine.root, node.machine.name, due)


def _units(nodes: list[Node], arguments: argparse.Namespace) -> Iterator[Coroutine[Any, Any, None]]:
    """K3s on the nodes, but for servers that the API server's process runs."""
    first = next(node.machine.root for node in nodes if node.machine.role == "server")
    for node in nodes:
        own = node.machine
        if own.role == "agent" or (own.role == "server" and not arguments.servers_elsewhere):
            unit = Unit(own.root, own.unit, Agent(own.root, own.role, first), arguments.restart_seconds)
            yield unit.run(functools.partial(power.is_on, own.root.parent, own.name))


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """As asyncio does, but for output on its way when its connection is dropped: that has nowhere to go."""
    if not isinstance(context.get("exception"), BrokenPipeError):
        loop.default_exception_handler(context)


async def _main(arguments: argparse.Namespace) -> int:
    asyncio.get_running_loop().set_exception_handler(report)
    try:
        machines = machine.load(arguments.nodes, arguments.root)
        if machine.NAS in arguments.ports:
            machines.append(machine.nas(arguments.root))
        tree.prepare(machines, time.time(), arguments.k3s_version, arguments.certs)
        keys = arguments.root / "authorized_keys"
        isolated = sandbox.available()
        nodes = [Node(each, arguments.ports[each.name], keys, isolated=isolated) for each in machines]
        for node in nodes:
            if node.machine.is_on:
                await node.power_on()
    except KeyError as error:
        print(f"lab.nodes: --ports names no port for {error}", file=sys.stderr)
        return 2
    except (LabError, OSError, ValueError) as error:
        print(f"lab.nodes: {error}", file=sys.stderr)
        return 1
    if not isolated:
        log.warning("this machine refuses unprivileged namespaces: nodes share the host's paths and processes")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.ensure_future(_follow_switch(node)) for node in nodes]
    tasks.append(asyncio.ensure_future(_follow_schedule(nodes)))
    tasks += [asyncio.ensure_future(unit) for unit in _units(nodes, arguments)]
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(node.power_off() for node in nodes))
    for result in results:
        if isinstance(result, Exception):
            raise result
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.nodes", description="The SSH nodes of the lab.")
    parser.add_argument("--root", type=Path, required=True, help="folder with a folder a node, and authorized_keys")
    parser.add_argument("--nodes", type=Path, required=True, help="the seed file that lists the nodes")
    parser.add_argument("--ports", type=_ports, required=True, help="NAME=PORT,… on 127.0.0.1; `nas` too, if wanted")
    parser.add_argument("--certs", type=Path, help="folder of the authority under which servers serve")
    parser.add_argument("--servers-elsewhere", action="store_true", help="the API server's process runs K3s on servers")
    parser.add_argument("--restart-seconds", type=float, default=2.0, help="how long a start of K3s takes")
    parser.add_argument("--k3s-version", default=K3S_VERSION, metavar="VERSION", help="which the nodes claim to run")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
