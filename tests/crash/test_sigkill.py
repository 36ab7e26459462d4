"""Each task of a rotation is killed once, at one of three moments. `make crash` walks all of them, run by run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.polling import Poll
from tests.crash.walk import MOMENTS, VICTIMS, Walk, walking


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with walking(tmp_path_factory.mktemp("lab")) as walk:
        yield walk


def test_killed_once_in_each_task_and_cleared_a_rotation_ends_as_an_undisturbed_one(walk: Walk) -> None:
    """And whoever logs in with the stored value is let in, all the time."""
    with Poll(walk.credentials) as poll:
        undisturbed = walk.rotate([])
        disturbed = walk.rotate([(victim, MOMENTS[number % 3]) for number, victim in enumerate(VICTIMS)])
    print(poll)
    assert undisturbed["run"] == "success"
    assert disturbed == undisturbed
    assert poll.failed() == {}
    assert min(polled.answers.total() for polled in poll.polled.values()) > 100
