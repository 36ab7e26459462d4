"""A rotation with everything real but Airflow: the lab's services and consumers, and the area's own rights.

Whoever rotates here is the account infra-ops-credentials towards Kubernetes, and has its policy towards the store.
"""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from infra_ops import include
from infra_ops.clients.effects import Effects
from infra_ops.clients.kubernetes import Cluster
from infra_ops.clients.kv import Kv
from infra_ops.clients.vault import Vault
from infra_ops.facts.readers import readers
from infra_ops.facts.workloads import Workload, pods
from infra_ops.models.credentials import Answer, Credential, Login, Stored
from infra_ops.models.inventory import Inventory
from infra_ops.models.outcomes import Outcome, State
from infra_ops.operations.actions import StepFailed, carry_out
from infra_ops.operations.rotation.due import Due, due
from infra_ops.operations.rotation.estate import Estate
from infra_ops.operations.rotation.progress import measure_accepted, measure_moved
from infra_ops.operations.rotation.rotation import PROBED
from lab import adoption, kubeconfigs
from lab.layout import Lab
from lab.services import openbao, openbao_setup
from lab.services.airflow_access import grant
from lab.services.plan import services
from tests.lab.rotation.stage import Pages
from tests.lab.running import running
from tests.lab.services.stage import furnish

ROTATED = ["postgres_appuser", "flower_celery"]
REFUSALS = {"postgres_appuser": "28P01", "flower_celery": "401"}
ACCOUNT = "infra-ops-credentials"


def wait_for(measure: Callable[[str, dict[str, str]], Outcome], id_: str, seconds: float = 90) -> None:
    """What a CheckSensor does."""
    deadline = time.monotonic() + seconds
    while (outcome := measure(id_, {"run": "test/1"})).state is not State.PASS:
        assert time.monotonic() < deadline, f"{outcome.id} of {id_} after {seconds} s: {outcome.reason}"
        time.sleep(0.2)


@dataclass
class House:
    """The lab as the rotating identity sees it."""

    inventory: Inventory
    kv: Kv
    cluster: Cluster
    journal: Pages = field(default_factory=Pages)

    @property
    def estate(self) -> Estate:
        return Estate(self.inventory, self.kv, self.cluster)

    def stored(self, id_: str) -> Stored:
        stored = self.kv.read(f"svc/{id_}")
        assert stored is not None
        return stored

    def log_in(self, id_: str, credential: Credential) -> Login:
        return self.estate.target(id_).log_in(credential.username, credential.password)

    def due(self, id_: str) -> Due:
        return due(self.estate, [id_], now=datetime.now(UTC))

    def rotate(self, id_: str) -> None:
        """The runbook's groups and sensors, in its order."""
        (rotation,) = self.due(id_).rotations
        effects = Effects(self.journal, still_allowed=lambda: None)
        carry_out(rotation.introduce(), effects)
        wait_for(measure_accepted, id_)
        carry_out(rotation.switch(), effects)
        wait_for(measure_moved, id_)
        carry_out(rotation.retire(), effects)
        wait_for(measure_accepted, id_)
        carry_out(rotation.finish(), effects)

    def copies(self, id_: str) -> Iterator[dict[str, str]]:
        """The data of each consumer's Secret."""
        for consumer in self.inventory.credentials[id_].consumers:
            path = f"/api/v1/namespaces/{consumer.secret.namespace}/secrets/{consumer.secret.name}"
            data = self.cluster.get(path)["data"]
            yield {key: base64.b64decode(value).decode() for key, value in data.items()}

    def consumers(self, id_: str) -> Iterator[Workload]:
        for consumer in (each for each in self.inventory.credentials[id_].consumers if each.restart):
            yield from readers(self.cluster, consumer.secret.namespace, consumer.secret.name)


@contextmanager
def never_refused(house: House, id_: str) -> Iterator[list[str]]:
    """Logs in with the current value from the store, over and over; yields the refusals, which should stay none."""
    refusals: list[str] = []
    over = threading.Event()

    def poll() -> None:
        while not over.wait(0.2):
            login = house.log_in(id_, house.stored(id_).credential)
            if login.answer is Answer.REFUSED:
                refusals.append(login.code)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield refusals
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The whole lab without Airflow, its passwords adopted."""
    lab = furnish(tmp_path_factory.mktemp("house"))
    with running(lab, services(lab, with_airflow=False)), pytest.MonkeyPatch.context() as patch:
        asyncio.run(_credentials_account(lab))
        role_id, secret_id = openbao_setup.role_files(lab, "worker")
        for name, value in {
            "INFRA_OPS_INCLUDE": lab.include,
            "KUBECONFIG": lab.kubeconfigs / ACCOUNT,
            "VAULT_ADDR": openbao.url(lab),
            "VAULT_CACERT": lab.certs / "ca.crt",
            "INFRA_OPS_CACERT": lab.certs / "ca.crt",
            "VAULT_ROLE_ID_FILE": role_id,
            "VAULT_SECRET_ID_FILE": secret_id,
        }.items():
            patch.setenv(name, str(value))
        inventory = include.inventory()
        house = House(inventory, Kv(Vault(), inventory.store.mount), Cluster())
        found = dict(adoption.logins(lab.credentials, inventory))
        assert adoption.adopt_all(inventory, house.kv, house.cluster, found) == []
        yield house


async def _credentials_account(lab: Lab) -> None:
    """The manifests' accounts, and a kubeconfig of the one that rotates."""
    await grant(lab, "local")
    server, _ = kubeconfigs.server_of(lab.admin_kubeconfig)
    token = await kubeconfigs.service_account_token(lab.admin_kubeconfig, "airflow", ACCOUNT)
    kubeconfigs.write(lab.kubeconfigs / ACCOUNT, server, lab.certs / "ca.crt", token)


@pytest.fixture(scope="module")
def rotated(house: House) -> dict[str, Any]:
    """Each of ROTATED rotated once: the values before, and the refusals that a client saw meanwhile."""
    before, refusals = {}, {}
    for id_ in ROTATED:
        before[id_] = house.stored(id_)
        with never_refused(house, id_) as refusals[id_]:
            house.rotate(id_)
    return {"before": before, "refusals": refusals}


@pytest.mark.parametrize("id_", ROTATED)
def test_the_new_value_works_and_the_old_one_is_refused_by_the_service(
    house: House, rotated: dict[str, Any], id_: str
) -> None:
    now, old = house.stored(id_), rotated["before"][id_]
    assert (old.version, now.version) == (1, 2)
    assert now.credential.rotation_id.startswith(f"{id_}:2@")
    assert house.log_in(id_, now.credential).answer is Answer.ACCEPTED
    assert house.log_in(id_, old.credential) == Login(Answer.REFUSED, REFUSALS[id_])
    assert house.kv.read(f"rotation/pending/{id_}") is None
    code = REFUSALS[id_]
    assert (
        house.kv.notes(f"svc/{id_}")[PROBED]
        .partition("old ")[2]
        .startswith(f"refused {code}, junk refused {code}, new again accepted")
    )


@pytest.mark.parametrize("id_", ROTATED)
def test_the_stored_value_is_accepted_at_every_moment(rotated: dict[str, Any], id_: str) -> None:
    assert rotated["refusals"][id_] == []


@pytest.mark.parametrize("id_", ROTATED)
def test_every_copy_is_the_new_value(house: House, rotated: dict[str, Any], id_: str) -> None:
    new, old = house.stored(id_).credential.password, rotated["before"][id_].credential.password
    copies = list(house.copies(id_))
    assert [new in "".join(copy.values()) for copy in copies] == [True] * len(copies)
    assert [old in "".join(copy.values()) for copy in copies] == [False] * len(copies)


@pytest.mark.usefixtures("rotated")
def test_every_pod_of_every_consumer_works_as_the_new_user(house: House) -> None:
    target = house.estate.target("postgres_appuser")
    holding = {session.application for session in target.sessions("appuser_b") or []}
    names = {name for workload in house.consumers("postgres_appuser") for name, _ in pods(house.cluster, workload)}
    assert len(names) == 7
    assert holding == names
    assert target.sessions("appuser") == []


@pytest.mark.parametrize("id_", ROTATED)
@pytest.mark.usefixtures("rotated")
def test_a_second_look_finds_nothing_to_do_and_says_why(house: House, id_: str) -> None:
    again = house.due(id_)
    assert again.rotations == ()
    assert [reason.partition(" was set on ")[0] for reason in again.reasons] == [f"{id_}: version 2"]


def test_the_one_probe_waits_until_the_service_is_of_one_mind(house: House) -> None:
    """While old and new pods of Flower run side by side, the old password may still be accepted."""
    id_ = "flower_financial_screener"
    (rotation,) = house.due(id_).rotations
    effects = Effects(house.journal, still_allowed=lambda: None)
    for restarting in (rotation.introduce(), [*rotation.switch(), *rotation.retire()]):
        carry_out(restarting, effects)
        assert measure_accepted(id_, {"run": "test/1"}).state is State.FAIL
        with pytest.raises(StepFailed, match="Deployment financial-screener/flower: .*; a login tried now"):
            carry_out(rotation.finish(), effects)
        wait_for(measure_accepted, id_)
    carry_out(rotation.finish(), effects)


@pytest.mark.usefixtures("rotated")
def test_no_password_is_in_the_journal(house: House) -> None:
    passwords = [
        stored.credential.password
        for id_ in ROTATED
        for version in (1, 2)
        if (stored := house.kv.read(f"svc/{id_}", version))
    ]
    assert len(passwords) == 2 * len(ROTATED)
    assert [password for password in passwords if password in "".join(house.journal.lines)] == []
