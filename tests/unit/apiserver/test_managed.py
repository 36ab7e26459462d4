"""managedFields: reading, writing, and not growing for ever."""

from typing import Any

import pytest

from lab.apiserver.managed import ANCIENT, MAX_UPDATERS, Manager, Share, capped, decode, encode


def entry(manager: str, operation: str = "Update", time: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {}},
        **more,
    }


def test_what_was_read_is_written_the_same() -> None:
    entries = [entry("a", "Apply"), entry("b"), entry("c", subresource="status")]
    assert encode(decode(entries)) == entries


def test_entries_stand_in_the_servers_order() -> None:
    """Appliers first, then by time, then by name: a stable order makes equal objects equal."""
    entries = [entry("z", "Apply"), entry("b", time="2026-01-01T00:00:01Z"), entry("a", time="2026-01-01T00:00:02Z")]
    assert encode(decode(reversed(entries))) == entries


def test_a_manager_that_owns_nothing_has_no_entry() -> None:
    assert encode({Manager.of("a", "Apply", "v1", ""): Share(frozenset(), "v1", "")}) == []


def test_an_applier_is_the_same_in_every_version_and_an_updater_is_not() -> None:
    assert Manager.of("a", "Apply", "v1", "") == Manager.of("a", "Apply", "v2", "")
    assert Manager.of("a", "Update", "v1", "") != Manager.of("a", "Update", "v2", "")


@pytest.mark.parametrize(
    "broken",
    [entry("a", "Delete"), entry("a", apiVersion=""), entry("a", fieldsType=""), entry("a", fieldsV1={"data": {}})],
)
def test_what_is_no_entry_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"operation|apiVersion|fieldsType|managed field"):
        decode([broken])


def test_the_oldest_updaters_are_counted_together() -> None:
    entries = [
        entry(f"m{index:02}", time=f"2026-01-01T00:00:{index:02}Z", fieldsV1={f"f:{index}": {}})
        for index in range(MAX_UPDATERS + 3)
    ]
    kept = capped(decode([*entries, entry("applier", "Apply")]))
    updaters = [owner for owner in kept if owner.operation == "Update"]
    assert len(updaters) == MAX_UPDATERS
    assert kept[Manager.of(ANCIENT, "Update", "v1", "")].fields == {(f"f:{index}",) for index in range(4)}
    assert Manager.of("applier", "Apply", "v1", "") in kept
    everything = frozenset[Any]().union(*(share.fields for share in kept.values()))
    assert everything == {(f"f:{index}",) for index in range(MAX_UPDATERS + 3)} | {("f:data",)}
