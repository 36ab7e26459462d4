"""kubectl, each version that this machine has, as people and runbooks use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab.apiserver.kubectl import Kubectl
from tests.lab.apiserver.objects import deployment
from tests.lab.cluster import Cluster

CONFIGMAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: %s}\n"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "web.json"
    path.write_text(json.dumps(deployment("web", 0)))
    return path


def test_apply_creates_and_then_finds_nothing_to_do(kubectl: Kubectl, manifest: Path) -> None:
    assert kubectl("apply", "-f", str(manifest)) == "deployment.apps/web created\n"
    assert kubectl("apply", "-f", str(manifest)) == "deployment.apps/web unchanged\n"
    manifest.write_text(json.dumps(deployment("web", 0) | {"metadata": {"name": "web", "labels": {"new": "yes"}}}))
    assert kubectl("apply", "-f", str(manifest)) == "deployment.apps/web configured\n"
    labels = json.loads(kubectl("get", "deploy", "web", "-o", "json"))["metadata"]["labels"]
    assert labels == {"new": "yes"}  # what the manifest no longer says is gone


def test_apply_on_the_server_names_the_owner_in_the_way(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=CONFIGMAP % "low")
    words = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    refused = kubectl.run(*words, stdin=CONFIGMAP % "high")
    assert refused.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.level' in refused.stderr
    assert kubectl(*words, "--force-conflicts", stdin=CONFIGMAP % "high").endswith("serverside-applied\n")
    assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.level}") == "high"


def test_apply_goes_over_from_the_client_to_the_server(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=CONFIGMAP % "low")
    kubectl("apply", "--server-side", "-f", "-", stdin=CONFIGMAP % "high")
    assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.level}") == "high"


def test_diff_shows_what_apply_would_change(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("apply", "-f", str(manifest))
    assert kubectl("diff", "-f", str(manifest)) == ""
    manifest.write_text(json.dumps(deployment("web", 3)))
    shown = kubectl.run("diff", "-f", str(manifest))
    assert shown.returncode == 1
    assert "-  replicas: 0" in shown.stdout
    assert "+  replicas: 3" in shown.stdout
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "0"


@pytest.mark.parametrize("kind", ["strategic", "merge", "json"])
def test_patch(kubectl: Kubectl, manifest: Path, kind: str) -> None:
    kubectl("apply", "-f", str(manifest))
    operations = '[{"op": "add", "path": "/spec/paused", "value": true}]'
    change = operations if kind == "json" else '{"spec": {"paused": true}}'
    kubectl("patch", "deploy", "web", f"--type={kind}", "-p", change)
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.paused}") == "true"


def test_scale(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("apply", "-f", str(manifest))
    assert kubectl("scale", "deploy/web", "--current-replicas=0", "--replicas=0") == "deployment.apps/web scaled\n"
    refused = kubectl.run("scale", "deploy/web", "--current-replicas=7", "--replicas=1")
    assert "Expected replicas to be 7, was 0" in refused.stderr


def test_run_and_delete(kubectl: Kubectl) -> None:
    overrides = '{"spec": {"schedulerName": "nobody"}}'
    assert kubectl("run", "once", "--image=example/none:1", f"--overrides={overrides}") == "pod/once created\n"
    assert kubectl("get", "pod", "once", "-o", "jsonpath={.spec.serviceAccountName}") == "default"
    assert "deleted" in kubectl("delete", "pod", "once")
    assert 'pods "once" not found' in kubectl.run("get", "pod", "once").stderr


def test_wait_for_a_condition_a_value_and_a_deletion(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("apply", "-f", str(manifest))
    kubectl("wait", "deploy/web", "--for=jsonpath={.spec.replicas}=0", "--timeout=10s")
    change = '{"status": {"conditions": [{"type": "Available", "status": "True"}]}}'
    kubectl("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", change)
    kubectl("wait", "deploy/web", "--for=condition=Available", "--timeout=30s")
    late = kubectl.run("wait", "deploy/web", "--for=jsonpath={.spec.replicas}=9", "--timeout=1s")
    assert "timed out waiting for the condition" in late.stderr
    kubectl("delete", "deploy", "web", "--wait=false")
    kubectl("wait", "deploy/web", "--for=delete", "--timeout=10s")


def test_a_dry_run_of_a_label_warns_of_pods(kubectl: Kubectl) -> None:
    """The runbook that hardens a namespace plans by exactly this command."""
    kubectl("run", "loose", "--image=example/none:1", '--overrides={"spec": {"schedulerName": "nobody"}}')
    label = "pod-security.kubernetes.io/enforce=restricted"
    tried = kubectl.run("label", "--dry-run=server", "--overwrite", "ns", kubectl.namespace, label)
    assert "(server dry run)" in tried.stdout
    assert "Warning: existing pods in namespace" in tried.stderr
    assert "Warning: loose: allowPrivilegeEscalation != false, unrestricted capabilities" in tried.stderr


def test_explain(kubectl: Kubectl) -> None:
    shown = kubectl("explain", "deployment.spec.replicas")
    assert "GROUP:      apps" in shown
    assert "FIELD: replicas <integer>" in shown


def test_api_resources_know_short_names(kubectl: Kubectl) -> None:
    rows = [line.split() for line in kubectl("api-resources", "--no-headers").splitlines()]
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in rows
    assert "pods" in kubectl("api-resources", "--categories=all", "-o", "name").split()


@pytest.mark.parametrize(
    ("words", "read", "expected"),
    [
        (["configmap", "x", "--from-literal=a=b"], "jsonpath={.data.a}", "b"),
        (["secret", "generic", "x", "--from-literal=a=b"], "jsonpath={.data.a}", "Yg=="),
        (["serviceaccount", "x"], "jsonpath={.metadata.name}", "x"),
        (["deployment", "x", "--image=i:1", "--replicas=0"], "jsonpath={.spec.replicas}", "0"),
        (["job", "x", "--image=i:1", "--", "true"], "jsonpath={.spec.template.spec.containers[0].command[0]}", "true"),
        (["cronjob", "x", "--image=i:1", "--schedule=0 0 1 1 *"], "jsonpath={.spec.schedule}", "0 0 1 1 *"),
        (["role", "x", "--verb=get", "--resource=pods"], "jsonpath={.rules[0].resources[0]}", "pods"),
        (["rolebinding", "x", "--role=x", "--user=u"], "jsonpath={.subjects[0].name}", "u"),
        (["service", "clusterip", "x", "--tcp=80:8080"], "jsonpath={.spec.ports[0].targetPort}", "8080"),
        (["pdb", "x", "--min-available=1", "--selector=a=b"], "jsonpath={.spec.minAvailable}", "1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_create(kubectl: Kubectl, words: list[str], read: str, expected: str) -> None:
    """Newer ones send these in protobuf."""
    kubectl("create", *words)
    assert kubectl("get", words[0], "x", "-o", read) == expected


def test_create_namespace(kubectl: Kubectl, cluster: Cluster) -> None:
    name = f"{kubectl.namespace}-more"
    cluster.namespaces.append(name)
    assert kubectl("create", "namespace", name) == f"namespace/{name} created\n"
    assert name in kubectl("get", "ns", "-o", "name")


def test_create_token(kubectl: Kubectl) -> None:
    assert kubectl("create", "token", "default").count(".") == 2


def test_auth(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    account = f"--as=system:serviceaccount:{kubectl.namespace}:default"
    denied = kubectl.run("auth", "can-i", "delete", "pods", account)
    assert (denied.stdout, denied.returncode) == ("no\n", 1)
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert "Username" in kubectl("auth", "whoami")


def test_get_shows_the_usual_columns(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("apply", "-f", str(manifest))
    assert kubectl("get", "deploy").split()[:5] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    kubectl("run", "once", "--image=i:1", '--overrides={"spec": {"schedulerName": "nobody"}}')
    head, row = (line.split() for line in kubectl("get", "pods", "-o", "wide").splitlines())
    assert head[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row[:4] == ["once", "0/1", "Pending", "0"]
    assert "system:masters" not in kubectl("get", "clusterroles", "cluster-admin")
    assert kubectl("get", "ns", kubectl.namespace).splitlines()[1].split()[:2] == [kubectl.namespace, "Active"]


def test_a_large_list_is_paged(kubectl: Kubectl) -> None:
    """kubectl asks for pieces of --chunk-size."""
    documents = [f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: cm-{number}}}\n" for number in range(7)]
    kubectl("apply", "-f", "-", stdin="---\n".join(documents))
    shown = kubectl("get", "cm", "--chunk-size=3", "-o", "name").splitlines()
    assert [name for name in shown if "/cm-" in name] == [f"configmap/cm-{number}" for number in range(7)]


def test_events_are_listed(kubectl: Kubectl) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": kubectl.namespace},
        "reason": "Tested",
        "type": "Normal",
        "message": "it was",
    }
    kubectl("create", "-f", "-", stdin=json.dumps(event))
    assert "Tested" in kubectl("get", "events", "--field-selector=involvedObject.name=p")


def test_version_is_that_of_k3s(kubectl: Kubectl, cluster: Cluster) -> None:
    if cluster.real:
        pytest.skip("a real server has a version of its own")
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"] == "v1.32.2+k3s1"
