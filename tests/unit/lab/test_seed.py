"""The seed file describes the roadmap's cluster, and a broken one is refused in one sentence."""

from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from infra_ops.models.documents import DocumentError
from lab.seed.cluster import load
from lab.seed.objects import objects

PROJECT = Path(__file__).resolve().parents[3]
NODES = 8
CREDENTIALS: dict[str, str] = defaultdict(lambda: "made-up")


def test_the_roadmaps_cluster_runs_116_pods() -> None:
    """The roadmap says 'All 116 pods running'."""
    workloads = [workload for namespace in load().namespaces.values() for workload in namespace.workloads]
    assert sum(NODES if w.kind == "DaemonSet" else w.replicas for w in workloads) == 116


def test_every_exposed_credential_has_a_copy_in_a_secret() -> None:
    """The seven credential ids of the design each stand in at least one Secret of a consumer."""

    class Recorder(dict[str, str]):
        def __missing__(self, key: str) -> str:
            self[key] = "made-up"
            return "made-up"

    asked = Recorder()
    list(objects(load(), asked))
    assert set(asked) == {
        "postgres_appuser",
        "flower_celery",
        "flower_financial_screener",
        "synology_admin",
        "pihole_admin",
        "grafana_admin",
        "airflow_admin",
    }


def test_an_object_follows_the_namespace_and_the_account_that_it_needs() -> None:
    seen: set[tuple[str, str, str]] = set()
    for item in objects(load(), CREDENTIALS):
        metadata = item["metadata"]
        if "namespace" in metadata:
            assert ("Namespace", "", metadata["namespace"]) in seen
        if "template" in item.get("spec", {}):
            account = item["spec"]["template"]["spec"]["serviceAccountName"]
            assert ("ServiceAccount", metadata["namespace"], account) in seen
        seen.add((item["kind"], metadata.get("namespace", ""), metadata["name"]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("namespaces: [", "line 1: this is not YAML"),
        ("namespaces: {a: {workloads: [{name: x}]}}", "line 1: namespaces.a.workloads[0]: image is missing."),
        (
            "namespaces: {a: {workloads: [{name: x, image: y, kind: Job}]}}",
            "workloads[0].kind: found 'Job'; allowed are 'Deployment', 'StatefulSet' or 'DaemonSet'.",
        ),
    ],
)
def test_a_broken_seed_file_is_refused_by_place_and_reason(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load(file)
    assert sentence in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_seed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"absent\.yaml cannot be read: No such file"):
        load(tmp_path / "absent.yaml")


def test_every_image_of_the_seed_can_be_pulled() -> None:
    """An image that lab/images.yaml does not list leaves its pods in ImagePullBackOff."""
    known = set(yaml.safe_load((PROJECT / "lab" / "images.yaml").read_text()))
    wanted = {workload.image for namespace in load().namespaces.values() for workload in namespace.workloads}
    names = {image.rpartition(":")[0].removeprefix("docker.io/").removeprefix("library/") for image in wanted}
    assert names <= known
