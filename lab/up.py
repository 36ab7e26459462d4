"""Runs one lab in the foreground, from an empty folder to a clean end."""

import asyncio
import dataclasses
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from infra_ops.models.documents import DocumentError
from lab import credentials, inventory, pki, power, real_server, state
from lab.description import describe
from lab.desk import Desk, control_socket
from lab.errors import LabError
from lab.invocation import command, relative
from lab.layout import Lab
from lab.ports import Ports
from lab.seed.cluster import load as load_seed
from lab.services import git
from lab.services.airflow_environment import of_components
from lab.services.plan import services
from lab.supervisor import control, lock
from lab.supervisor.process import run as run_to_end
from lab.supervisor.sessions import Ledger
from lab.supervisor.supervisor import Supervisor
from lab.wish import Wish

NEEDED_SPACE = 300 * 1024 * 1024  # bytes; a fresh lab with Airflow's database and logs takes about a third of it

Report = Callable[[str], None]


class UnusableError(LabError):
    """The lab cannot start here; the text says why and what to do, in one sentence."""


def run(wish: Wish, report: Report) -> None:
    """Start the lab, keep it until SIGINT, SIGTERM or `down`, stop it.

    Raises UnusableError or RefusedError before anything was started, ServiceError when a service did not become healthy
    (the others are stopped again by then).
    """
    began = time.monotonic()
    _check_descriptions()
    _check_space(wish.root)
    _check_length(wish.root)
    wish.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with lock.held(wish.root / "lock"):
            asyncio.run(_run(wish, report, began))
    except lock.HeldError:
        pid = state.load(wish.root).get("pid")
        raise UnusableError(
            f"A lab is already running at {wish.root} (pid {pid}): see `{command(wish.root, 'status')}`, "
            f"or stop it with `{command(wish.root, 'down')}`."
        ) from None


async def _run(wish: Wish, report: Report, began: float) -> None:
    lab = Lab(wish.root, Ports(state.load(wish.root).get("ports")))
    if wish.kubeconfig is not None:
        server = await real_server.check(wish.kubeconfig, disposable=wish.disposable)
        report(f"Using the API server {server.url} ({server.version}) of {wish.kubeconfig}")
        lab = dataclasses.replace(lab, given_kubeconfig=wish.kubeconfig, k3s_version=server.version)
    supervisor = _furnish(lab, wish, report)
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    desk = Desk(supervisor, end)
    async with control.serve(control_socket(lab.root), desk.answer):
        try:
            if await _finished_before(end, _bring_up(supervisor, lab, report)):
                state.save(lab.root, describe(lab))  # again, with the credentials that only a running service gives
                desk.phase = "up"
                _welcome(lab, report, time.monotonic() - began)
                await end.wait()
        finally:
            desk.phase = "stopping"
            report("Stopping")
            stopping = time.monotonic()
            await supervisor.stop_all()
            report(f"Stopped everything in {time.monotonic() - stopping:.1f} s")


def _furnish(lab: Lab, wish: Wish, report: Report) -> Supervisor:
    for folder in (lab.log, lab.root / "home", lab.root / "tmp", lab.root / "data"):
        folder.mkdir(exist_ok=True)
    pki.issue(lab.certs)
    credentials.invent(lab.credentials)
    ledger = Ledger(lab.root / "sessions.json")
    survivors = ledger.sweep()
    if survivors:
        report(f"Ended what a killed lab had left running: {', '.join(survivors)}")
    chosen = services(lab, with_celery=wish.celery, with_airflow=wish.airflow, executor=wish.executor)
    if not git.installed():
        report("No Git server: this machine lacks git or ssh, so ansible_vault and scan_secrets refuse")
    state.save(lab.root, describe(lab))
    return Supervisor(
        chosen,
        environment=lab.environment(),
        log=lab.log,
        ledger=ledger,
        report=report,
        restart_with=lambda name: command(lab.root, "start", name),
    )


async def _bring_up(supervisor: Supervisor, lab: Lab, report: Report) -> None:
    await supervisor.start_all()
    environment = {
        **lab.environment(),
        **of_components(lab),
        "KUBECONFIG": str(lab.admin_kubeconfig),  # the workers' own is there only with Airflow
    }
    log = lab.log / "adoption.log"
    await run_to_end((sys.executable, "-m", "lab.adoption", str(lab.credentials)), environment, log)
    if refusals := log.read_text():
        report(refusals.rstrip())


async def _finished_before(end: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work came to its end before `end` was set; otherwise it is cancelled. Raises what it raises."""
    working, ending = asyncio.create_task(work), asyncio.create_task(end.wait())
    await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if working.done():
        await working
        return True
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return False


def _check_descriptions() -> None:
    try:
        load_seed()
        power.names()
    except (DocumentError, LabError) as error:
        raise UnusableError(f"The seed cannot be used: {error}") from error
    try:
        inventory.load()
    except DocumentError as error:
        raise UnusableError(f"The inventory cannot be used: {error}") from error


def _check_space(root: Path) -> None:
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < NEEDED_SPACE:
        raise UnusableError(
            f"The disk of {existing} has {free >> 20} MiB left and the lab needs {NEEDED_SPACE >> 20} MiB: "
            "free some space, or choose another place with --root."
        )


def _check_length(root: Path) -> None:
    length = len(os.fsencode(control_socket(root)))
    if length > control.LONGEST_PATH:
        raise UnusableError(
            f"The path {root} is too long for the Unix socket in it by {length - control.LONGEST_PATH} characters: "
            "choose a shorter one with --root."
        )


def _welcome(lab: Lab, report: Report, seconds: float) -> None:
    kubectl = relative(Path(sys.executable).with_name("kubectl"))
    report(f"\nThe lab is up after {seconds:.1f} s. Everything of it is in {relative(lab.root)}.\n")
    if "airflow" in lab.ports.numbers:
        password, run_ = command(lab.root, "password", "airflow_admin"), command(lab.root, "run", "ground_check")
        report(f"  Airflow    http://127.0.0.1:{lab.ports.of('airflow')}")
        report(f"  Login      admin, with the password that this prints: {password}")
        report(f"  Try first  in the UI: Dags, ground_check, Trigger; or in a terminal: {run_}")
    report(f"  kubectl    KUBECONFIG={relative(lab.admin_kubeconfig)} {kubectl} get nodes")
    report(f"  More       {command(lab.root, 'status')}; the same with stop rpi-4, start rpi-4, stop openbao, --help")
    report(f"  Stop       Ctrl-C, or: {command(lab.root, 'down')}")
