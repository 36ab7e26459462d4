"""Each account of include/manifests/infra-ops can do its work and is refused what is not its work."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.end_to_end.conftest import Lab

READER = ("infra-ops", "reader")
UPKEEP = ("airflow", "infra-ops-upkeep")
LOCAL_WORKER = ("airflow", "lab-worker")
TRIGGERER = ("airflow", "airflow-triggerer")


def ask(lab: Lab, account: tuple[str, str], *arguments: str) -> tuple[bool, str]:
    """Whether kubectl, as that service account, got what it asked for, and what it said."""
    namespace, name = account
    token = lab.kubectl("-n", namespace, "create", "token", name).strip()
    try:
        return True, lab.kubectl("--token", token, *arguments)
    except subprocess.CalledProcessError as error:
        return False, error.stderr


@pytest.mark.parametrize("account", [READER, UPKEEP], ids=lambda account: account[1])
def test_it_reads_the_cluster_but_no_secret(lab: Lab, account: tuple[str, str]) -> None:
    allowed, nodes = ask(lab, account, "get", "nodes", "-o", "name")
    assert allowed
    assert "node/rpi-1" in nodes
    allowed, complaint = ask(lab, account, "get", "secrets", "--all-namespaces")
    assert not allowed
    assert "forbidden" in complaint.lower()


@pytest.mark.parametrize(
    ("account", "write"),
    [
        (READER, ("-n", "infra-ops", "create", "configmap", "x")),
        (READER, ("label", "node", "rpi-1", "x=y")),
        (UPKEEP, ("label", "node", "rpi-1", "x=y")),
        (UPKEEP, ("-n", "airflow", "delete", "pods", "--all")),
        (UPKEEP, ("-n", "infra-ops", "create", "serviceaccount", "x")),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_write_that_is_not_its_work_is_refused(lab: Lab, account: tuple[str, str], write: tuple[str, ...]) -> None:
    allowed, complaint = ask(lab, account, *write)
    assert not allowed
    assert "forbidden" in complaint.lower()


@pytest.mark.parametrize(
    ("account", "question", "answer"),
    [
        (LOCAL_WORKER, ("create", "pods", "-n", "infra-ops"), "yes"),
        (LOCAL_WORKER, ("patch", "secret/database", "-n", "celery"), "yes"),
        (LOCAL_WORKER, ("patch", "secret/another", "-n", "celery"), "no"),
        (LOCAL_WORKER, ("list", "secrets", "-n", "celery"), "yes"),
        (LOCAL_WORKER, ("get", "secret/another", "-n", "celery"), "no"),
        (TRIGGERER, ("list", "pods", "-n", "celery"), "yes"),
        (TRIGGERER, ("patch", "secret/database", "-n", "celery"), "no"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_local_workers_hold_the_rights_of_all_areas_and_the_triggerer_none_to_write(
    lab: Lab, account: tuple[str, str], question: tuple[str, ...], answer: str
) -> None:
    """LocalExecutor cannot run each task as its area's account."""
    namespace, name = account
    user = f"system:serviceaccount:{namespace}:{name}"
    try:
        said = lab.kubectl("auth", "can-i", *question, "--as", user)
    except subprocess.CalledProcessError as refused:  # "no" is exit code 1
        said = refused.stdout
    assert said.strip() == answer


def test_a_tools_namespace_refuses_a_privileged_pod(lab: Lab) -> None:
    """Pod Security holds for everybody, the administrator included."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        lab.kubectl("-n", "infra-ops", "run", "x", "--image=alpine:3.22", "--privileged")
    assert 'violates PodSecurity "restricted' in refused.value.stderr
