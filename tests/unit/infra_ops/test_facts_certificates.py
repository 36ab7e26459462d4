"""What a node prints of its certificates, as it is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra_ops.facts.certificates import UnreadableNode, parse
from infra_ops.models.certificates import DATA
from infra_ops.operations.store.certificates import ends, new_authority

CERTIFICATE = new_authority(datetime(2026, 1, 1, tzinfo=UTC))[0].decode()
HEAD = "ActiveState=active\nExecMainStartTimestamp=@1767225600\nk3s version v1.32.2+k3s1 (381620ef)\n"


def printed(*names: str, head: str = HEAD) -> str:
    return head + "".join(f"file {DATA}/{name}\n{CERTIFICATE}" for name in names)


def test_leaves_and_authorities_are_told_apart() -> None:
    found = parse("rpi-1", printed("agent/client-kubelet.crt", "server/tls/etcd/server-ca.crt"))
    assert [each.name for each in found.leaves] == ["agent/client-kubelet.crt"]
    assert [each.name for each in found.authorities] == ["server/tls/etcd/server-ca.crt"]
    assert found.leaves[0].ends == ends(CERTIFICATE.encode()) > datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=3649)
    assert (found.version, found.started) == ("v1.32.2+k3s1", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("state", ["activating", "failed", "inactive"])
def test_who_does_not_run_was_not_started(state: str) -> None:
    head = HEAD.replace("=active", f"={state}")
    assert parse("rpi-1", printed("agent/client-kubelet.crt", head=head)).started is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        printed("agent/client-kubelet.crt", head=HEAD.replace("k3s version", "sh: k3s: not found")),
        printed("agent/client-kubelet.crt").replace("-----END", "-----CUT"),
        HEAD + f"file {DATA}/agent/client-kubelet.crt\n",
    ],
    ids=["nothing", "no certificate at all", "no command", "half a certificate", "an empty file"],
)
def test_what_cannot_be_read_is_no_certificate_that_is_good(text: str) -> None:
    with pytest.raises(UnreadableNode, match="rpi-1"):
        parse("rpi-1", text)
