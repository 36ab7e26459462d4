"""What servers say of their encryption, read."""

from __future__ import annotations

import base64
import json

import pytest

from infra_ops.facts import encryption as facts
from infra_ops.facts import etcd
from infra_ops.models.servers import Unit

METRICS = """# HELP apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds [ALPHA]
apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds{apiserver_id_hash="sha256:1",status="failure"} 9e+09
apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds{apiserver_id_hash="sha256:1",status="success"} 1.7640123456789e+09
"""  # noqa: E501  a server writes it so


def node(*arguments: str) -> dict[str, object]:
    return {"metadata": {"annotations": {"k3s.io/node-args": json.dumps(["server", *arguments])}}}


def test_only_a_reload_that_succeeded_counts() -> None:
    assert facts.reloaded(METRICS) == 1764012345.6789
    assert facts.reloaded("") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--kube-apiserver-arg", f"encryption-provider-config={facts.FILE}"),
        (f"--kube-apiserver-arg=encryption-provider-config={facts.FILE}",),
        ("--kube-apiserver-arg", f"--encryption-provider-config={facts.FILE}"),
    ],
)
def test_a_node_tells_what_its_server_was_started_with(arguments: tuple[str, ...]) -> None:
    others = ("--kube-apiserver-arg", "encryption-provider-config-automatic-reload=true")
    assert facts.file_started_with(node(*others, *arguments)) == facts.FILE
    assert facts.file_started_with(node(*others)) == ""
    assert facts.file_started_with({"metadata": {}}) == ""


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), False),
        (("--secrets-encryption",), True),
        (("--secrets-encryption", "--debug"), True),
        (("--secrets-encryption", "true"), True),
        (("--secrets-encryption", "false"), False),
        (("--secrets-encryption=true", "--secrets-encryption=false"), False),
    ],
)
def test_a_node_tells_whether_k3s_encrypts_by_itself(arguments: tuple[str, ...], found: bool) -> None:
    assert facts.manages(node(*arguments)) == found


def test_a_start_in_the_second_of_the_last_change_comes_after_it() -> None:
    """Or the server would be waited for as if it had not taken the file over, and never does so again."""
    told = (
        "600 root:root 1764012345.250000000 aa  -\n"
        "absent\n"
        "ActiveState=active\n"
        "ExecMainStartTimestamp=Mon 2025-11-24 19:25:45.750000 UTC\n"
        "- identity\n"
    )
    file, _, unit, _ = facts._parse("rpi-1", told)
    assert file is not None
    assert unit.started - file.changed == 0.5


def test_a_server_that_never_ran_was_never_started() -> None:
    _, _, unit, _ = facts._parse("rpi-1", "absent\nabsent\nActiveState=inactive\nExecMainStartTimestamp=\n")
    assert unit == Unit("inactive", 0.0)


def test_parts_of_the_configuration_that_would_spoil_it_are_named() -> None:
    ours = {facts.DROP_IN: {"kube-apiserver-arg+": [f"encryption-provider-config={facts.FILE}"]}}
    assert facts.foreign({facts.CONFIG: {"kube-apiserver-arg": ["audit-log-path=/x"]}, **ours}) == ""
    mine = {facts.CONFIG: {"kube-apiserver-arg": "encryption-provider-config=/mine"}, **ours}
    assert facts.foreign(mine) == f"{facts.CONFIG} has a encryption-provider-config of its own"
    later = f"{facts.DROP_INS}/99-users.yaml"
    assert facts.foreign({**ours, later: {"kube-apiserver-arg": ["v=2"]}}).startswith(f"{later} replaces")
    assert facts.managed({facts.CONFIG: {"secrets-encryption": True}}) == facts.CONFIG
    assert facts.managed({facts.CONFIG: {"secrets-encryption": False}}) == ""
    assert facts.managed({facts.CONFIG: {"secrets-encryption": True}, later: {"secrets-encryption": False}}) == ""


def pair(key: str, value: bytes) -> list[str]:
    return [base64.b64encode(key.encode()).decode(), "=" + base64.b64encode(value).decode()[:80]]


def test_a_stored_value_tells_by_what_it_was_written() -> None:
    lines = [
        *pair("/registry/secrets/a/plain", b"k8s\0\n\x0c\n\x02v1" + b"x" * 200),
        *pair("/registry/secrets/a/json", b'{"apiVersion":"v1"}'),
        *pair("/registry/secrets/a/ours", b"k8s:enc:secretbox:v1:key12:\xff\xfe" + b"\x00" * 100),
        *pair("/registry/secrets/a/k3s", b"k8s:enc:aescbc:v1:aescbckey:" + b"\x80" * 100),
    ]
    found = etcd.parse_scan("rpi-1", lines)
    assert list(found.values()) == ["identity", "identity", "key12", "aescbc:aescbckey"]
    assert etcd.counted(found)["identity"] == 2


def test_what_is_no_answer_of_etcdctl_is_a_problem() -> None:
    with pytest.raises(etcd.UnreadableDatastore, match="etcdctl on rpi-1 told what is no base64"):
        etcd.parse_scan("rpi-1", ["Error: context deadline exceeded"])
