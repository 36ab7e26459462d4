"""K3s as a service of its node: stopped, started, restarted, cut off, and what the others see of it."""

import threading
import time

from tests.lab.servers_of_k3s import SERVERS, K3sCluster, wait_until


def test_each_server_answers_on_its_own_port(k3s: K3sCluster) -> None:
    assert all(k3s.answers(name) for name in SERVERS)
    made = k3s.rest("rpi-1").create("/api/v1/namespaces", {"metadata": {"name": "seen-by-all"}})
    assert all(k3s.rest(name).get("/api/v1/namespaces/seen-by-all") == made for name in SERVERS)


def test_a_restart_takes_one_server_away_and_never_the_common_port(k3s: K3sCluster) -> None:
    refused, ended = [], threading.Event()

    def look() -> None:
        while not ended.is_set():
            if not k3s.answers():
                refused.append(time.monotonic())

    watcher = threading.Thread(target=look)
    watcher.start()
    away = 0
    for name in SERVERS:
        restart = threading.Thread(target=k3s.ssh, args=(name, "sudo systemctl restart k3s"))
        restart.start()
        wait_until(lambda name=name: not k3s.answers(name))
        away += 1
        restart.join()
        assert k3s.answers(name), "systemctl returned before the server was ready"
    ended.set()
    watcher.join()
    assert away == 3
    assert len(refused) <= 3  # one cut connection for the server that stood behind it, at most


def test_with_all_servers_down_nobody_answers(k3s: K3sCluster) -> None:
    for name in SERVERS:
        assert k3s.ssh(name, "sudo systemctl stop k3s").returncode == 0
    assert not k3s.answers()
    assert k3s.ssh("rpi-1", "systemctl is-active k3s").stdout == "inactive\n"
    for name in SERVERS:
        assert k3s.ssh(name, "sudo systemctl start k3s").returncode == 0
    assert k3s.answers()


def test_power_takes_the_server_with_it_and_brings_it_back(k3s: K3sCluster) -> None:
    k3s.power("rpi-2", on=False)
    wait_until(lambda: not k3s.answers("rpi-2"))
    assert k3s.answers()
    k3s.power("rpi-2", on=True)
    wait_until(lambda: k3s.answers("rpi-2"))
    wait_until(lambda: k3s.ssh("rpi-2", "systemctl is-active k3s").stdout == "active\n")


def test_show_tells_when_it_came_up_and_as_which_process(k3s: K3sCluster) -> None:
    ask = "systemctl show k3s -p ActiveEnterTimestamp,ActiveState,MainPID"
    before = k3s.ssh("rpi-3", ask).stdout
    assert "ActiveState=active\n" in before
    time.sleep(1.1)
    k3s.ssh("rpi-3", "sudo systemctl restart k3s.service")
    after = k3s.ssh("rpi-3", ask).stdout
    assert [line.partition("=")[0] for line in after.splitlines()] == ["MainPID", "ActiveState", "ActiveEnterTimestamp"]
    assert after.splitlines()[0] != before.splitlines()[0]
    assert after.splitlines()[2] != before.splitlines()[2]


def test_without_sudo_nothing_is_restarted(k3s: K3sCluster) -> None:
    result = k3s.ssh("rpi-1", "systemctl restart k3s")
    assert result.returncode == 1
    assert "Interactive authentication required" in result.stderr


def test_agents_are_restarted_too(k3s: K3sCluster) -> None:
    before = k3s.ssh("rpi-4", "systemctl show k3s-agent -p MainPID --value").stdout
    assert k3s.ssh("rpi-4", "sudo systemctl restart k3s-agent").returncode == 0
    assert k3s.ssh("rpi-4", "systemctl show k3s-agent -p MainPID --value").stdout != before
    assert k3s.ssh("rpi-4", "sudo systemctl restart k3s").returncode == 5


def test_a_detached_restart_outlives_its_session(k3s: K3sCluster) -> None:
    run = "sudo systemd-run --on-active=1 --collect --unit infra-ops-restart systemctl restart k3s"
    before = k3s.ssh("rpi-1", "systemctl show k3s -p MainPID --value").stdout
    told = k3s.ssh("rpi-1", run)
    assert (told.returncode, told.stderr.splitlines()[0]) == (0, "Running timer as unit: infra-ops-restart.timer")
    again = k3s.ssh("rpi-1", run)
    assert again.returncode == 1
    assert "Unit infra-ops-restart.timer was already loaded" in again.stderr
    wait_until(lambda: not k3s.answers("rpi-1"))
    wait_until(lambda: k3s.answers("rpi-1"))
    assert k3s.ssh("rpi-1", "systemctl show k3s -p MainPID --value").stdout != before


def test_what_was_put_off_is_forgotten_with_the_power(k3s: K3sCluster) -> None:
    run = "sudo systemd-run --on-active=600 --unit later touch /root/later"
    assert k3s.ssh("rpi-7", run).returncode == 0
    assert k3s.ssh("rpi-7", run).returncode == 1
    k3s.power("rpi-7", on=False)
    wait_until(lambda: k3s.ssh("rpi-7", "true").returncode != 0)
    k3s.power("rpi-7", on=True)
    wait_until(lambda: k3s.ssh("rpi-7", "true").returncode == 0)
    assert k3s.ssh("rpi-7", run).returncode == 0


def test_a_configuration_that_is_no_yaml_keeps_it_down_and_the_journal_says_why(k3s: K3sCluster) -> None:
    """Once it is mended, systemd's next try succeeds."""
    drop_in = k3s.disk("rpi-3", "/etc/rancher/k3s/config.yaml.d/90-test.yaml")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text("kubelet-arg: [\n")
    try:
        failed = k3s.ssh("rpi-3", "sudo systemctl restart k3s")
        assert failed.returncode == 1
        assert failed.stderr.startswith("Job for k3s.service failed because the control process exited")
        assert k3s.ssh("rpi-3", "systemctl is-active k3s").stdout == "activating\n"
        assert 'level=fatal msg="yaml: line 2: ' in k3s.ssh("rpi-3", "journalctl -u k3s -n 3 --no-pager").stdout
        assert not k3s.answers("rpi-3")
    finally:
        drop_in.unlink()
    wait_until(lambda: k3s.answers("rpi-3"))
    assert k3s.ssh("rpi-3", "systemctl show k3s -p NRestarts --value").stdout.strip() != "0"


def test_the_machine_outside_of_the_cluster_keeps_files(k3s: K3sCluster) -> None:
    place = k3s.inventory().off_cluster
    assert place is not None
    told = k3s.ssh("nas", f"cd {place.path} && echo kept > copy && pwd && id -un; hostname; command -v k3s")
    assert told.stdout.split() == ["/volume1/infra-ops", "root", "nas"]
    assert k3s.disk("nas", "/volume1/infra-ops/copy").read_text() == "kept\n"
