"""A rotation whose tasks are killed ends as one that nobody disturbed. `make crash` walks all tasks and moments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.killing import AFTER, MIDDLE, START
from tests.crash.polling import Poll
from tests.crash.walk import IDS, VICTIMS, Walk, walking

VICTIM = {victim.task: victim for victim in VICTIMS}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with walking(tmp_path_factory.mktemp("lab")) as walk:
        yield walk


def test_killed_and_cleared_or_started_again_a_rotation_ends_as_an_undisturbed_one(walk: Walk) -> None:
    """And whoever logs in with the stored value is never refused."""
    with Poll(walk.credentials, IDS) as poll:
        undisturbed = walk.rotate()
        cleared = walk.rotate([(VICTIM["introduce"], MIDDLE), (VICTIM["switch"], AFTER), (VICTIM["finish"], START)])
        started_again = walk.rotate_in_two_runs((VICTIM["retire"], AFTER))
    print(poll)
    assert undisturbed["run"] == "success"
    assert cleared == undisturbed
    assert started_again == undisturbed
    assert {id_: polled.refused() for id_, polled in poll.polled.items()} == dict.fromkeys(poll.polled, 0)
    assert min(polled.accepted() for polled in poll.polled.values()) > 100
