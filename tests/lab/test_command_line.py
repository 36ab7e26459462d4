"""`python -m lab` as a person uses it, without Airflow: start, look, break, kill, start again."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from lab.invocation import command as typed
from lab.layout import PROJECT
from tests.lab.servers import ApiServer

UP = ("up", "--without", "airflow")
QUICK = 20  # seconds
LOGINS = ("grafana", "pihole", "synology")
# A person would be asked about the host key, and would keep it.
UNASKED = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")


def command(root: Path, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "lab", *arguments, "--root", str(root))


def lab(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(command(root, *arguments), cwd=PROJECT, capture_output=True, text=True, timeout=120)


def run_in_project(*argv: str) -> str:
    """What a command prints that must succeed in a terminal in the project's folder."""
    result = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def processes_of(root: Path) -> list[str]:
    """The command lines of everything that has to do with a lab at this root."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if str(root) in line:
            found.append(line)
    return found


def logins(state: dict[str, Any]) -> dict[str, Any]:
    """What Grafana, which is a pod, and the servers outside of the cluster say to the lab's passwords."""
    where = state["addresses"]
    password = {name: Path(state["credentials"][f"{name}_admin"]).read_text() for name in LOGINS}
    more: dict[str, Any] = {"verify": state["certificate_authority"], "timeout": 10}
    _wait_for_answer(f"{where['grafana']}/api/health")
    grafana = requests.get(f"{where['grafana']}/api/user", auth=("admin", password["grafana"]), timeout=10)
    pihole = requests.post(f"{where['pihole']}/api/auth", json={"password": password["pihole"]}, **more)
    form = {"api": "SYNO.API.Auth", "method": "login", "version": "7", "account": "admin"}
    synology = requests.post(f"{where['synology']}/webapi/entry.cgi", {**form, "passwd": password["synology"]}, **more)
    return {
        "grafana": grafana.status_code,
        "pihole": pihole.json()["session"]["message"] == "password correct",
        "synology": synology.json()["success"],
    }


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "lab"
    yield root
    lab(root, "down")


def test_a_lab_from_its_first_start_to_its_end(root: Path) -> None:
    """One start for all of this, because starts are what takes time."""
    up = lab(root, *UP, "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    assert re.search(r"postgres +healthy after +\d+\.\d s", up.stdout)
    assert re.search(r"The lab is up after \d+\.\d s", up.stdout)

    state = json.loads((root / "state.json").read_text())
    assert (root / "state.json").stat().st_mode & 0o777 == 0o600
    assert len(state["addresses"]["nodes"]) == 8
    assert Path(state["credentials"]["openbao_root"]).stat().st_mode & 0o777 == 0o600

    assert logins(state) == {"grafana": 200, "pihole": True, "synology": True}

    status = lab(root, "status")
    assert status.returncode == 0
    assert re.search(r"openbao +healthy +pid \d+ +\d+ MiB", status.stdout)
    for name, address in state["addresses"]["nodes"].items():
        assert re.search(rf"^{name} +{address}$", status.stdout, re.M)
    ssh, *login = shlex.split(re.findall(r"^to log in to a node: (.*)$", status.stdout, re.M)[0])
    assert run_in_project(ssh, *UNASKED, *login, "hostname") == "rpi-1"
    kubectl = re.findall(r"^  kubectl +(KUBECONFIG=.*)$", up.stdout, re.M)[0]
    assert "rpi-8" in run_in_project("sh", "-c", kubectl)

    again = lab(root, *UP)
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert f"A lab is already running at {root} (pid {state['pid']})" in again.stderr

    assert lab(root, "stop", "rpi-4").stdout == "rpi-4 is off; Kubernetes notices within about 40 s.\n"
    assert (root / "nodes" / "rpi-4" / "off").exists()
    assert "switched off: rpi-4" in lab(root, "status").stdout
    assert lab(root, "start", "rpi-4").returncode == 0
    assert not (root / "nodes" / "rpi-4" / "off").exists()

    assert lab(root, "stop", "openbao").returncode == 0
    status = lab(root, "status")
    assert status.returncode == 1
    assert re.search(r"openbao +stopped", status.stdout)
    hints = re.findall(r"^openbao does not run: start it again with: (.*)$", status.stdout, re.M)
    assert hints == [typed(root, "start", "openbao")]
    run_in_project("sh", "-c", hints[0])

    valkey = int(re.findall(r"valkey .* pid (\d+)", status.stdout)[0])
    psutil.Process(valkey).kill()
    restart = typed(root, "start", "valkey")
    _wait_for_text(root / "lab.log", f"The other services stay up; start it again with: {restart}\n")
    status = lab(root, "status")
    assert re.search(r"valkey +dead", status.stdout)
    assert f"valkey does not run: start it again with: {restart}\n" in status.stdout

    wrong = lab(root, "stop", "openbaoo")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("lab: there is no service openbaoo; there are: postgres, ")

    secrets = [Path(file).read_text() for file in state["credentials"].values()]
    shown = "\n".join(processes_of(root)) + "".join(file.read_text() for file in (root / "log").iterdir())
    assert [secret for secret in secrets if secret in shown + up.stdout] == []

    began = time.monotonic()
    assert lab(root, "down").stdout == "The lab has stopped.\n"
    assert time.monotonic() - began < 15
    assert processes_of(root) == []
    gone = lab(root, "status")
    assert gone.returncode == 1
    assert gone.stderr.startswith(f"lab: No lab is running at {root}")


def test_after_sigkill_in_the_middle_of_a_start_the_next_start_works(root: Path) -> None:
    """Killed before anything runs, then with one service up, then with almost all up, each on what the last left."""
    for moment in ("", "postgres", "openbao"):
        starting = subprocess.Popen(command(root, *UP), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert starting.stdout is not None
        if moment:
            while not starting.stdout.readline().startswith(moment):
                assert starting.poll() is None
        else:
            _wait_for(root / "pki" / "ca.crt")
        starting.send_signal(signal.SIGKILL)
        starting.wait()
    up = lab(root, *UP, "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    assert lab(root, "status").returncode == 0


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + QUICK
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _wait_for_answer(url: str) -> None:
    """A Service whose pods are not ready yet resets connections."""
    deadline = time.monotonic() + QUICK
    while True:
        try:
            requests.get(url, timeout=10)
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def _wait_for_text(path: Path, text: str) -> None:
    deadline = time.monotonic() + QUICK
    while text not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.05)


def test_ctrl_c_in_the_middle_of_a_start_ends_everything(root: Path) -> None:
    starting = subprocess.Popen(command(root, *UP), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert starting.stdout is not None
    starting.stdout.readline()
    began = time.monotonic()
    starting.send_signal(signal.SIGINT)
    output, _ = starting.communicate(timeout=QUICK)
    assert time.monotonic() - began < 15
    assert "Stopped everything" in output
    assert processes_of(root) == []


def test_a_disk_that_is_too_small_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    """On a small disk of its own, in a mount namespace; the lab's folder is there already, with a file in it."""
    if shutil.which("unshare") is None or subprocess.run(("unshare", "-Urm", "true"), capture_output=True).returncode:
        pytest.skip("this machine refuses unprivileged namespaces, so no small disk can be made")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
mount -t tmpfs -o size=4m tmpfs {disk}
mkdir {disk}/lab && echo kept > {disk}/lab/kept
{sys.executable} -m lab {" ".join(UP)} --root {disk}/lab
echo "code $?"
ls -A {disk}/lab
"""
    answer = subprocess.run(
        ("unshare", "-Urm", "sh", "-c", script), cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert re.fullmatch(r"lab: The disk of \S+ has 3 MiB left and the lab needs \d+ MiB: free .*\n", answer.stderr)
    assert answer.stdout.split() == ["code", "1", "kept"]


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 13, 1)])
def test_another_python_is_refused_before_anything_is_imported(version: tuple[int, int, int]) -> None:
    code = f"""
import runpy, sys
sys.version_info = {version!r}
sys.modules["lab.cli"] = None  # importing it would raise
runpy.run_module("lab", run_name="__main__")
"""
    answer = subprocess.run((sys.executable, "-c", code), cwd=PROJECT, capture_output=True, text=True)
    number = ".".join(map(str, version))
    assert answer.returncode == 1
    assert (
        answer.stderr
        == f"Airflow 3.0.2 and its pins need Python 3.11 or 3.12, and this is {number}: use .venv/bin/python.\n"
    )


def test_a_lab_on_a_given_api_server(root: Path, tmp_path: Path) -> None:
    """Here another API server of the lab plays the real one. It is named, and used only once called disposable."""
    (tmp_path / "given").mkdir()
    with ApiServer(tmp_path / "given") as given:
        unsure = lab(root, *UP, "--kubeconfig", str(given.kubeconfig))
        assert unsure.returncode == 1
        assert f"names the API server {given.url}" in unsure.stderr

        up = lab(root, *UP, "--kubeconfig", str(given.kubeconfig), "--disposable", "--detach")
        assert up.returncode == 0, up.stdout + up.stderr
        state = json.loads((root / "state.json").read_text())
        assert state["addresses"]["apiserver"] == given.url
        assert not (root / "data" / "apiserver").exists()
        nodes = requests.get(
            f"{given.url}/api/v1/nodes",
            headers={"Authorization": f"Bearer {given.tokens['lab-admin']}"},
            verify=given.ca,
            timeout=10,
        ).json()["items"]
        assert [node["metadata"]["labels"]["infra-ops.lab/node"] for node in nodes] == ["true"] * 8

        # A lab that has been there before finds its own nodes again and is let in.
        assert lab(root, "down").returncode == 0
        again = lab(root, *UP, "--kubeconfig", str(given.kubeconfig), "--disposable", "--detach")
        assert again.returncode == 0, again.stdout + again.stderr
        assert lab(root, "down").returncode == 0


def test_the_confirmation_alone_makes_no_sense(root: Path) -> None:
    assert "--kubeconfig, which is missing" in lab(root, "up", "--disposable").stderr


def test_commands_without_a_lab_say_so(root: Path) -> None:
    for arguments in (("status",), ("stop", "rpi-1"), ("start", "postgres")):
        answer = lab(root, *arguments)
        assert answer.returncode == 1
        assert answer.stderr == f"lab: No lab is running at {root}: start it with `{typed(root, 'up')}`.\n"
    assert lab(root, "down").stdout == f"No lab is running at {root}.\n"
