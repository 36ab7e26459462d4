"""A deployment that is killed at one effect after the other, before it and with its answer lost, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from infra_ops.clients.applying import Deployer
from infra_ops.clients.effects import Effects
from infra_ops.facts import openbao as facts
from infra_ops.operations.store import manifests, proof, settings
from infra_ops.operations.store.secrets import TRUSTING, authorities
from tests.lab.store.stage import Stage


class Killed(BaseException):
    """The process is gone: nothing of ours may catch this."""


Death = tuple[str, str, bool]  # at which effect of which step, and whether it was done and only its answer lost


class Dying(Effects):
    """Dies at the first effect at which nobody has died in this way yet; `deaths` remembers them.

    It survives the effects of steps that are not `mortal`, by the beginning of their ids.
    """

    def __init__(self, stage: Stage, deaths: list[Death], mortal: str | tuple[str, ...] = "") -> None:
        super().__init__(stage.journal, still_allowed=lambda: None)
        self._deaths = deaths
        self._mortal = mortal

    def do(self, step: str, what: str, write: Callable[[], Any]) -> Any:
        for done in (False, True):
            if step.startswith(self._mortal) and (death := (step, what, done)) not in self._deaths:
                self._deaths.append(death)
                if done:
                    super().do(step, what, write)
                raise Killed
        return super().do(step, what, write)


def end_state(stage: Stage) -> dict[str, Any]:
    """What a deployment leaves behind, in words that are the same after every one."""
    cluster, store = Deployer(), stage.store("platform")
    authority = (cluster.find(facts.AUTHORITY) or {})["data"]["ca.crt"]
    trusted = [cluster.get(authorities(namespace))["data"]["ca.crt"] for namespace in TRUSTING]
    keys = json.loads((stage.secret("openbao-recovery") or {})["keys"])
    mounts, logins = store.read("sys/mounts") or {}, store.read("sys/auth") or {}
    return {
        "objects": sorted(
            manifests.path_of(item) for item in manifests.objects("openbao") if cluster.find(manifests.path_of(item))
        ),
        "secrets": {
            name: sorted(stage.secret(name) or {}) for name in ("openbao-seal", "openbao-authority", "openbao-tls")
        },
        "trusted": [each.count("BEGIN CERTIFICATE") == 1 and authority.strip() in each for each in trusted],
        "mounts": sorted(mounts["data"]),
        "logins": sorted(logins["data"]),
        "recovery keys": (len(keys), (store.read("sys/seal-status") or {})["n"]),
        "note": cluster.find(facts.WAITING) is not None,
        "proved": proof.noted(store, "infra") == settings.digest(),
        "outcomes": [(outcome.id, outcome.state.value) for outcome in stage.operation(stage.plan()).verify()],
        "left to do": [step.id for step in stage.plan().steps],
    }


def deploy_dying(stage: Stage, mortal: str = "") -> list[Death]:
    """One deployment that dies twice at every effect, until it comes to its end; where it died.

    A fresh cluster for each death would take half an hour, and what a death leaves does not depend on earlier ones.
    """
    deaths: list[Death] = []
    while True:
        try:
            stage.deploy(Dying(stage, deaths, mortal))
        except Killed:
            continue
        return deaths
