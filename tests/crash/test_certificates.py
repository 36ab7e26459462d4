"""Certificates whose renewal is killed at each restart, and run again."""

from __future__ import annotations

from tests.lab.certificates.conftest import k3s as k3s
from tests.lab.certificates.conftest import stage as stage
from tests.lab.certificates.stage import Dying, Killed, Stage, unit


def test_killed_at_every_effect_it_ends_the_same_and_restarts_nobody_twice(stage: Stage) -> None:  # noqa: F811
    """Three deaths each: before the restart, when it was asked for, and with its answer lost."""
    mortal = ["rpi-1", "rpi-3", "rpi-4"]
    stage.age(79, *mortal)
    deaths: list[tuple[str, str]] = []
    killed = 0

    def ask(name: str) -> None:
        told = stage.k3s.ssh(name, f"sudo systemd-run --collect --on-active=1 systemctl restart {unit(name)}")
        assert told.returncode == 0, told.stderr

    while True:
        try:
            stage.run(Dying(stage, deaths, ask))
        except Killed:
            killed += 1
            continue
        break
    # After the second death the restart that was asked for is found done, so there is no third.
    assert deaths == [(f"renew.{name}", way) for name in mortal for way in ("before", "asked")]
    assert killed == 2 * len(mortal)
    assert all(days >= 364 for days in stage.days_left().values())
    starts = {name: stage.starts(name) for name in mortal}
    assert stage.plan().steps == ()
    assert starts == {name: stage.starts(name) for name in mortal}
    print(f"\n{len(deaths)} points, 0 divergences")
