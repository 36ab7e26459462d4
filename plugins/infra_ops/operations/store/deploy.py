"""The operation of the runbook deploy_openbao."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from infra_ops.checks import store as checks
from infra_ops.clients.applying import Deployer
from infra_ops.clients.openbao import ACTIVE, OpenBao
from infra_ops.facts import openbao as facts
from infra_ops.models.outcomes import Outcome
from infra_ops.models.problems import Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.store import certificates, manifests, proof, recovery, secrets, settings
from infra_ops.operations.store.parts import Part, actions, gaps

COMPONENT = "openbao"
IDENTITY = "infra-ops-platform"
NOBODY_TRUSTS = dict.fromkeys(secrets.TRUSTING.values(), secrets.NOT_TRUSTED)
# What a new store will be like, before there is one to ask; everything else will be absent.
OF_A_NEW_STORE = {
    "openbao.sys/policies/acl/infra-ops-platform": "differs",  # its first identity may do little more than widen it
    "openbao.recovery": "none",
    "openbao.proof": "not proved",
    **NOBODY_TRUSTS,
}


class NotPrepared(Refusal):
    """An administrator has to give something first; the sentence says what."""


class DeployOpenbao:
    """Has no params of its own: everything stands in include/manifests/openbao and infra-ops/openbao."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._mount = request.inventory.store.mount
        self._cluster = Deployer()
        self._store: OpenBao | None = None

    def preflight(self) -> list[Outcome]:
        """The namespace is there with its posture. Raises NotPrepared."""
        namespace = self._cluster.find(f"/api/v1/namespaces/{facts.NAMESPACE}")
        labels = namespace["metadata"].get("labels", {}) if namespace else {}
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            raise NotPrepared(
                f"The namespace {facts.NAMESPACE} is not there or does not enforce the restricted Pod Security "
                "standard: an administrator applies include/manifests/infra-ops first."
            )
        return []

    def work(self) -> Work:
        groups = self._groups()
        if self._request.plan:
            before = dict(self._request.plan.arguments["before"])
            reasons: Sequence[str] = self._request.plan.nothing_to_do
        else:
            before = self._gaps(groups)
            reasons = [*manifests.left_out(self._cluster, COMPONENT), *([] if before else ["All is as it should be."])]
        return Work(
            groups={name: actions(parts, before) for name, parts in groups.items()},
            subjects={"serves": [checks.STORE]},
            # Pairs: Airflow's database does not keep the order of a dict's keys.
            arguments={"before": [[id_, state] for id_, state in before.items()]},
            nothing_to_do=tuple(reasons),
        )

    def reversible(self) -> Sequence[Action]:
        """Nothing: every step is the beginning of the next, and a store that holds a secret must not be taken away."""
        return []

    def standing(self) -> list[Outcome]:
        """Nothing: a store that is not there yet is no fault, and openbao_snapshot looks at the one that is."""
        return []

    def verify(self) -> list[Outcome]:
        """K014 to K017: it serves, its recovery keys, its identities, its certificate."""
        now, run = datetime.now(UTC), self._request.run
        store = self._logged_in()
        return [
            checks.serves(facts.serving(self._cluster), now=now, run=run),
            checks.handed_over(facts.handover(self._cluster, store), now=now, run=run),
            checks.identities(proof.noted(store, self._mount), settings.digest(), now=now, run=run),
            checks.certificate(facts.certificate_ends(self._cluster), now=now, run=run),
        ]

    def _groups(self) -> dict[str, list[Part]]:
        """All parts by the task that brings them about."""
        groups = {
            "keys": secrets.parts(self._cluster),
            "apply": list(manifests.parts(self._cluster, COMPONENT, self._completed)),
            "set_up": [*settings.parts(self._logged_in, self._mount), proof.part(self._logged_in, self._mount)],
            "hand_over": [
                recovery.part(self._cluster, self._logged_in),
                *(secrets.trusted_in(self._cluster, namespace) for namespace in secrets.TRUSTING),
            ],
        }
        if self._request.plan is None:
            first, *rest = groups["set_up"]
            serves = facts.serving(self._cluster).status == ACTIVE
            # Before its own policy is as it should be, the runbook may not look at the rest.
            if not serves or gaps([first]):
                groups["set_up"] = [first if serves else _of_a_new_store(first), *map(_of_a_new_store, rest)]
                groups["hand_over"] = list(map(_of_a_new_store, groups["hand_over"]))
        return groups

    def _gaps(self, groups: dict[str, list[Part]]) -> dict[str, str]:
        outside = gaps([*groups["keys"], *groups["apply"]])
        if outside.get("openbao.secret.openbao-seal") == secrets.LOST:
            raise NotPrepared(
                "The Secret openbao/openbao-seal is gone and the store has data, which nothing but that key opens: put "
                "it back from your copy (docs/real-cluster.md). Only if there is nothing to keep, delete the "
                "StatefulSet openbao/openbao and the claim data-openbao-0 instead."
            )
        if outside.get("openbao.certificate") and (server := "openbao.statefulset.openbao") not in outside:
            outside[server] = manifests.DIFFERS  # it starts again with the new certificate
        if not outside and facts.serving(self._cluster).status != ACTIVE:
            raise NotPrepared("The store is as it should be and does not serve: look at the pod openbao/openbao-0.")
        inside = gaps([*groups["set_up"], *groups["hand_over"]])
        if "openbao.authority" in outside:
            # What pods trust now is the one that is going to be replaced.
            inside |= NOBODY_TRUSTS
        return {**outside, **inside}

    def _completed(self, item: dict[str, Any]) -> dict[str, Any]:
        """The server's pod names what it started with: another certificate or configuration means another pod."""
        if (item["kind"], item["metadata"]["name"]) == ("StatefulSet", "openbao"):
            held = secrets.read(self._cluster, "openbao-tls")
            metadata = item["spec"]["template"]["metadata"]
            metadata["annotations"] = {
                "infra-ops/certificate": certificates.fingerprint(held["tls.crt"]) if held else "",
                "infra-ops/configuration": manifests.digest(COMPONENT, "ConfigMap"),
            }
        return item

    def _logged_in(self) -> OpenBao:
        if self._store is None:
            store = facts.server(self._cluster)
            store.log_in(IDENTITY, self._cluster.token_of("airflow", IDENTITY))
            self._store = store
        return self._store


def _of_a_new_store(part: Part) -> Part:
    """The part as it will be found when there is a store to ask: a plan is made before there is one."""
    return replace(part, look=lambda: OF_A_NEW_STORE.get(part.id, "absent"))
