"""Which encryption is in force, and what must not be done to it."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from infra_ops.checks.encryption import Judge, in_force, is_awaited, known_lists, loading, unsafe
from infra_ops.checks.quorum import lost_without
from infra_ops.models.encryption import NONE, Key, configuration, digest, prefix, rotating
from infra_ops.models.servers import Encrypting, File, Unit

FILE = "/etc/rancher/k3s/encryption-config.yaml"
KEYS = {name: Key(name, name.encode() * 8, datetime(2026, 1, 1, tzinfo=UTC)) for name in ("key1", "key2")}
KNOWN = known_lists(KEYS)
ONE = ("key1", "identity")


def seen(sha: str = digest(configuration(ONE, KEYS)), mode: str = "600", owner: str = "root:root") -> Encrypting:
    file = File(mode, owner, sha, changed=100)
    return Encrypting("rpi-1", file, ONE, file, Unit("active", 200), FILE, 0)


def test_the_file_is_one_that_kubernetes_reads() -> None:
    parsed = yaml.safe_load(configuration(("key2", "key1", "identity"), KEYS))
    assert (parsed["kind"], parsed["apiVersion"]) == ("EncryptionConfiguration", "apiserver.config.k8s.io/v1")
    (rule,) = parsed["resources"]
    assert rule["resources"] == ["secrets"]
    first, second, last = rule["providers"]
    assert [each["name"] for each in (*first["secretbox"]["keys"], *second["secretbox"]["keys"])] == ["key2", "key1"]
    assert base64.b64decode(first["secretbox"]["keys"][0]["secret"]) == KEYS["key2"].secret
    assert last == {"identity": {}}
    assert prefix("key2") == b"k8s:enc:secretbox:v1:key2:"


def test_a_key_is_never_shown() -> None:
    assert "key1key1" not in repr(KEYS["key1"])


def test_every_list_of_every_way_is_known_by_its_bytes() -> None:
    assert set(rotating("key1", "key2").stages) < set(KNOWN.values())
    assert len(KNOWN) == len(set(KNOWN.values()))


def test_the_list_is_told_by_the_files_bytes() -> None:
    assert in_force(seen(), KNOWN, FILE) == ONE


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (seen(sha="0" * 64), "a file of other bytes than ours (it lists key1, identity)"),
        (seen(mode="644"), f"{FILE} has mode 644 and belongs to root:root, not 600 and root"),
        (seen(owner="pi:pi"), f"{FILE} has mode 600 and belongs to pi:pi, not 600 and root"),
        (replace(seen(), file=None), f"started with {FILE}, which is gone"),
        (replace(seen(), started_with="/other"), "started with /other, which is not ours"),
        (replace(seen(), foreign="config.yaml has one"), "config.yaml has one"),
        (replace(seen(), managed="config.yaml"), "managed by K3s (config.yaml has secrets-encryption: true)"),
    ],
)
def test_what_is_none_of_ours_is_said_in_words(found: Encrypting, words: str) -> None:
    assert in_force(found, KNOWN, FILE) == words


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"rpi-1": "aa", "rpi-2": "bb"}, "the servers hold different keys under one name"),
        ({"rpi-1": "aa", "rpi-2": "aa"}, "the store does not have its key (was an older copy of it restored?)"),
        ({"rpi-1": "aa"}, "the store does not have its key"),
    ],
)
def test_different_keys_are_told_from_one_that_the_store_lacks(files: dict[str, str], reason: str) -> None:
    judge = Judge(datetime.now(UTC), "run")
    states = {server: in_force(seen(sha=sha), KNOWN, FILE) for server, sha in files.items()}
    assert all(reason in outcome.reason for outcome in judge.sound(states, files))


def test_a_file_that_no_process_was_started_with_is_not_in_force() -> None:
    assert in_force(replace(seen(), started_with=""), KNOWN, FILE) == NONE


def test_a_changed_file_is_loading_until_the_server_took_it_over() -> None:
    changed = replace(seen(), unit=Unit("active", 50))
    assert loading(changed)
    assert not loading(replace(changed, reloaded=101))
    assert not loading(seen())
    assert not loading(replace(changed, started_with=""))


def test_a_server_that_runs_with_a_list_and_does_not_say_so_yet_is_awaited() -> None:
    """Its Node object tells seconds later what it was started with; one that does not start never does."""
    fresh = replace(seen(), started_with="", unit=Unit("active", 200))
    assert is_awaited(fresh)
    assert not is_awaited(replace(fresh, unit=Unit("activating", 200)))
    assert not is_awaited(replace(fresh, unit=Unit("active", 50)))
    assert not is_awaited(replace(fresh, drop_in=None))
    assert not is_awaited(seen())


def test_nobody_writes_what_another_cannot_read() -> None:
    others = {"rpi-2": ("identity", "key1"), "rpi-3": NONE}
    assert unsafe(ONE, others, {}) == "it would write with key1, which rpi-3 (no encryption) cannot read"
    assert unsafe(("identity", "key1"), others, {}) == ""


def test_no_key_goes_while_something_is_written_with_it() -> None:
    assert (
        unsafe(NONE, {}, {"key1": 3, "identity": 1}) == "3 Secrets are written with key1, which it could read no more"
    )
    assert unsafe(NONE, {}, {"key1": 0, "identity": 4}) == ""
    assert unsafe(("key2", "identity"), {}, {"key1": 1}) != ""
    assert unsafe(NONE, {}, {"aescbc:k": 1}) != ""


@pytest.mark.parametrize(
    ("healthy", "why"),
    [
        ({"a": True}, ""),
        ({"a": False}, ""),
        ({"a": True, "b": True}, "two servers are no quorum when one is away: have one or three"),
        ({"a": True, "b": True, "c": True}, ""),
        ({"a": False, "b": True, "c": True}, ""),
        ({"a": True, "b": False, "c": True}, "the etcd members of b are not healthy"),
    ],
)
def test_a_server_is_restarted_only_when_the_others_are_a_quorum(healthy: dict[str, bool], why: str) -> None:
    assert lost_without("a", healthy) == why
