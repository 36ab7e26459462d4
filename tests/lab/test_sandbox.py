"""The sandbox that pods and nodes run in, as whoever runs the tests and as an ordinary user."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import psutil
import pytest

from lab import sandbox
from lab.sandbox import Sandbox
from tests.lab.users import ordinary_user

pytestmark = pytest.mark.skipif(not sandbox.available(), reason="this machine refuses unprivileged namespaces")

SERVICE_ACCOUNT = PurePosixPath("/var/run/secrets/kubernetes.io/serviceaccount")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("content")
    return tmp_path / "folder"


def run(box: Sandbox, script: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(box.wrap(["sh", "-c", script]), capture_output=True, text=True, timeout=30, **options)


@pytest.fixture
def sleeper(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running sandbox."""
    box = Sandbox(binds=((folder, PurePosixPath("/data")),), hostname="sleeper")
    with subprocess.Popen(box.wrap(["sleep", "60"])) as process:
        wait_until(lambda: sandbox.is_ready(process.pid))
        yield process
        process.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "inside", ["/airflow/xcom", str(SERVICE_ACCOUNT), "/etc/infra-ops/deep/er", "/usr/local/bin", "/tmp/here", "/srv"]
)
def test_a_folder_appears_at_its_path_whether_or_not_the_host_has_it(folder: Path, inside: str) -> None:
    result = run(Sandbox(((folder, PurePosixPath(inside)),), "pod"), f"cat {inside}/file && touch {inside}/new")
    assert (result.stdout, result.stderr) == ("content", "")
    assert (folder / "new").exists()


def test_a_single_file_can_be_mounted_where_the_host_has_none(folder: Path) -> None:
    box = Sandbox(((folder / "file", PurePosixPath("/etc/infra-ops/one.conf")),), "pod")
    assert run(box, "ls /etc/infra-ops; cat /etc/infra-ops/one.conf").stdout == "one.conf\ncontent"
    assert not Path("/etc/infra-ops").exists()


def test_a_mount_inside_another_mount_is_on_top_of_it(folder: Path, tmp_path: Path) -> None:
    """Whatever order the caller names them in."""
    binds = ((folder, PurePosixPath("/data/inner")), (tmp_path, PurePosixPath("/data")))
    assert run(Sandbox(binds, "pod"), "cat /data/inner/file").stdout == "content"


def test_a_read_only_mount_refuses_writes_but_not_a_mount_below_it(folder: Path, tmp_path: Path) -> None:
    """The service-account folder of a pod, below which the caller mounts something else."""
    (tmp_path / "inner").mkdir()
    inner = ((tmp_path / "inner", SERVICE_ACCOUNT / "inner"),)
    box = Sandbox(inner, "pod", read_only=((folder, SERVICE_ACCOUNT),))
    result = run(box, f"cat {SERVICE_ACCOUNT}/file && touch {SERVICE_ACCOUNT}/inner/new && touch {SERVICE_ACCOUNT}/new")
    assert result.stdout == "content"
    assert "Read-only file system" in result.stderr
    assert (tmp_path / "inner" / "new").exists()


def test_the_host_is_visible_and_read_only() -> None:
    root = Path(__file__).parent
    result = run(Sandbox((), "pod"), f"ls {root}; for d in {root} /etc /usr; do mkdir $d/new && rmdir $d/new; done")
    assert Path(__file__).name in result.stdout
    assert result.stderr.count("Read-only file system") == 3


def test_tmp_is_empty_and_private() -> None:
    """But for the lab's own interpreter and packages, where they live there."""
    result = run(Sandbox((), "pod"), "ls /tmp; stat -c %a /tmp; echo x > /tmp/of-the-pod; cat /tmp/of-the-pod")
    needed = {path.parts[2] for path in (Path(sys.prefix), Path(__file__)) if path.parts[1] == "tmp"}
    assert [line for line in result.stdout.split() if line not in needed] == ["1777", "x"]
    assert not Path("/tmp/of-the-pod").exists()


def test_the_process_table_and_the_host_name_are_its_own() -> None:
    result = run(Sandbox((), "pod-1"), "hostname; echo $$; ls -d /proc/[0-9]*")
    assert result.stdout.split()[:3] == ["pod-1", "1", "/proc/1"]
    assert os.uname().nodename != "pod-1"


def test_the_labs_interpreter_and_packages_work_below_covered_folders(folder: Path) -> None:
    covered = [PurePosixPath(path) for path in ("/root", "/home", "/opt", "/work", "/tmp") if Path(path).is_dir()]
    binds = []
    for path in covered:
        own = folder / path.name
        own.mkdir()
        binds.append((own, path))
    argv = Sandbox(tuple(binds), "pod").wrap([sys.executable, "-c", "import yaml, lab.sandbox; print('works')"])
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("works\n", "")


def test_the_working_folder_is_the_one_asked_for(folder: Path) -> None:
    assert run(Sandbox(((folder, PurePosixPath("/data")),), "pod", PurePosixPath("/data")), "pwd; ls").stdout == (
        "/data\nfile\n"
    )


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["no-such-command"], 127, "exec: no-such-command: not found\n"),
        (["/etc/passwd"], 126, "exec: /etc/passwd: Permission denied\n"),
    ],
)
def test_it_ends_as_its_command_ended(argv: list[str], code: int, message: str) -> None:
    result = subprocess.run(Sandbox((), "pod").wrap(argv), capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (code, message)


def test_a_source_that_is_not_there_is_named(folder: Path) -> None:
    result = run(Sandbox(((folder / "lost", PurePosixPath("/data")),), "pod"), "true")
    assert result.returncode == 125
    assert result.stderr.startswith("sandbox: ")
    assert "lost on /data: No such file or directory" in result.stderr


def test_environment_and_stdin_pass_through_and_sigpipe_is_not_ignored() -> None:
    """Python ignores SIGPIPE; inherited by a shell, `yes | head` would complain. Others are the caller's affair."""
    script = "cat; echo $WORD; yes | head -1; sed -n 's/^SigIgn:[^0-9a-f]*//p' /proc/self/status"
    result = run(Sandbox((), "pod"), script, input="in ", env={**os.environ, "WORD": "word"})
    words, yes, ignored = result.stdout.splitlines()
    assert (words, yes, result.stderr) == ("in word", "y", "")
    assert not int(ignored, 16) & 1 << signal.SIGPIPE - 1


def test_exec_sees_the_same_files_processes_and_host_name(sleeper: subprocess.Popen[bytes]) -> None:
    script = "hostname; cat file; tr '\\0' ' ' < /proc/1/cmdline"
    argv = sandbox.enter(sleeper.pid, ["sh", "-c", script], PurePosixPath("/data"))
    assert subprocess.run(argv, capture_output=True, text=True, timeout=30).stdout == "sleeper\ncontentsleep 60 "


def test_a_kill_by_exec_cannot_reach_a_process_of_the_host(sleeper: subprocess.Popen[bytes]) -> None:
    """KubernetesPodOperator ends its XCom side-car by `kill -2 $(pgrep …)`: that must find the pod's own only."""
    argv = sandbox.enter(sleeper.pid, ["sh", "-c", "kill -0 $HOST_PROCESS"])
    environment = {**os.environ, "HOST_PROCESS": str(os.getpid())}
    assert subprocess.run(argv, env=environment, capture_output=True, timeout=30).returncode != 0


def test_a_signal_to_the_group_reaches_a_command_that_handles_it(folder: Path) -> None:
    box = Sandbox(((folder, PurePosixPath("/data")),), "pod")
    script = "trap 'echo ended > /data/file; exit 3' TERM; echo up > /data/file; while :; do sleep 0.05; done"
    with subprocess.Popen(box.wrap(["sh", "-c", script]), start_new_session=True) as process:
        wait_until(lambda: (folder / "file").read_text() == "up\n")
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(10) == 3
    assert (folder / "file").read_text() == "ended\n"


def test_killing_the_started_process_leaves_nothing_behind(folder: Path) -> None:
    """Not even a process that left its session."""
    box = Sandbox(((folder, PurePosixPath("/data")),), "pod")
    script = "setsid sleep 61 & echo up > /data/file; wait"
    with subprocess.Popen(box.wrap(["sh", "-c", script])) as process:
        wait_until(lambda: (folder / "file").read_text() == "up\n")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
        process.kill()
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_it_dies_with_the_process_that_started_it(folder: Path) -> None:
    argv = Sandbox(((folder, PurePosixPath("/data")),), "pod").wrap(["sh", "-c", "echo up > /data/file; sleep 62"])
    parent_program = f"import json, subprocess; subprocess.run(json.loads({json.dumps(json.dumps(argv))}))"
    with subprocess.Popen([sys.executable, "-c", parent_program]) as parent:
        wait_until(lambda: (folder / "file").read_text() == "up\n")
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) >= 2
        parent.kill()
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_an_ordinary_user_gets_the_same_sandbox() -> None:
    program = """
import pathlib, subprocess, sys, tempfile
from lab.sandbox import Sandbox, available
assert available()
folder = pathlib.Path(tempfile.mkdtemp())
box = Sandbox(((folder, pathlib.PurePosixPath("/var/run/secrets/x")),), "pod")
sys.exit(subprocess.run(box.wrap(["sh", "-c", "echo $(id -u) $(hostname) && touch /var/run/secrets/x/y"])).returncode)
"""
    argv = [*ordinary_user(), sys.executable, "-c", program]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert (result.stdout, result.stderr) == ("0 pod\n", "")
