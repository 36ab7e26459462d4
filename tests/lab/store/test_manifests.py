"""The manifests of the store on an API server: strictly valid, restricted, and whole with the Prometheus operator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from kubernetes import client

from infra_ops.clients.applying import Deployer
from infra_ops.clients.kubernetes import ClusterError
from infra_ops.operations.store import manifests
from tests.lab.kubelet.support import wait_until
from tests.lab.manifests.chapter import PROJECT, run
from tests.lab.store.stage import Stage

CRDS = PROJECT.parent / "shared" / "crds" / "prometheus-operator.yaml"
KINDS = ("ServiceMonitor", "PrometheusRule")


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a lone ``=`` stays the text that it is."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] != "value"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@pytest.fixture
def operator_kinds(stage: Stage) -> Iterator[None]:
    """The real definitions of the two kinds of the Prometheus operator."""
    if not CRDS.exists():
        pytest.skip(f"the real CRDs are not there: {CRDS}")
    stage.as_administrator()
    extensions = client.ApiextensionsV1Api(stage.cluster.client())
    found = yaml.load_all(CRDS.read_text(), Loader=_Loader)
    wanted = [item for item in found if item and item["spec"]["names"]["kind"] in KINDS]
    known = [item.metadata.name for item in extensions.list_custom_resource_definition().items]
    for item in wanted:
        if item["metadata"]["name"] not in known:
            extensions.create_custom_resource_definition(item)
    group = "/apis/monitoring.coreos.com/v1"
    wait_until(lambda: len((Deployer().find(group) or {"resources": []})["resources"]) >= len(KINDS))
    yield
    for item in wanted:
        extensions.delete_custom_resource_definition(item["metadata"]["name"])


@pytest.mark.usefixtures("operator_kinds")
def test_the_server_takes_every_object_strictly_and_without_a_warning(stage: Stage) -> None:
    """The namespace warns of what the restricted standard refuses, and a warning is an error here."""
    command = "kubectl apply --server-side --field-manager infra-ops --validate=strict --dry-run=server"
    output = run(
        f"{command} --warnings-as-errors -k {PROJECT}/include/manifests/openbao",
        stage.kubelet.root.parent,
        KUBECONFIG=str(stage.cluster.kubeconfig),
    )
    assert output.count("serverside-applied") == len(manifests.objects("openbao"))


@pytest.mark.usefixtures("operator_kinds")
def test_with_the_operator_its_objects_are_part_of_the_plan(stage: Stage) -> None:
    assert [step.id for step in stage.plan().steps if "prometheus" in step.id or "monitor" in step.id] == [
        "openbao.servicemonitor.openbao",
        "openbao.prometheusrule.openbao",
    ]


def test_a_misspelt_field_is_refused_in_the_plan(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strictness of the dry run, seen red."""
    found = manifests.objects("openbao")
    service = next(item for item in found if item["kind"] == "Service")
    service["spec"]["selektor"] = {}
    monkeypatch.setattr(manifests, "objects", lambda component: [service])
    with pytest.raises(ClusterError, match="selektor"):
        stage.plan()
