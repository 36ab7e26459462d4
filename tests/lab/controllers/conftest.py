"""The lab's controllers, running against the shared API server."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kubernetes.client import ApiException, CoreV1Api, CustomObjectsApi

from tests.lab.cluster import Cluster
from tests.lab.servers import ApiServer, running_controllers

USER = "system:kube-controller-manager"
GRACE = 3.0  # seconds without heartbeat on the own server
T = TypeVar("T")


def eventually(question: Callable[[], T], seconds: float = 20) -> T:
    """The first true answer; an object that is not there (yet) is no answer."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ApiException):
            if answer := question():
                return answer
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def is_gone(read: Callable[[], object]) -> bool:
    try:
        read()
    except ApiException as error:
        if error.status == 404:
            return True
        raise
    return False


@pytest.fixture(scope="package")
def controllers(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # Other tests' nodes may send no heartbeats at all: leave them alone.
    log = tmp_path_factory.mktemp("controllers") / "log"
    with running_controllers(cluster.kubeconfig, log, "--node-grace", "3600"):
        yield


@dataclass
class OwnServer:
    """A server with controllers of its own, which run as the user that the lab gives them."""

    server: ApiServer
    log: Path  # of the controllers


@pytest.fixture(scope="package")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    folder = tmp_path_factory.mktemp("controllers-own")
    with ApiServer(folder, users={USER: ()}) as server:
        log = folder / "controllers"
        with running_controllers(server.write_kubeconfig(USER), log, "--node-grace", str(GRACE)):
            yield OwnServer(server, log)


@pytest.fixture(scope="package")
def core(cluster: Cluster, controllers: None) -> CoreV1Api:
    return CoreV1Api(cluster.client())


@pytest.fixture(scope="package")
def custom(cluster: Cluster, controllers: None) -> CustomObjectsApi:
    return CustomObjectsApi(cluster.client())


@pytest.fixture
def namespace(core: CoreV1Api) -> Iterator[str]:
    name = f"controllers-{uuid.uuid4().hex[:10]}"
    core.create_namespace({"metadata": {"name": name}})
    yield name
    with contextlib.suppress(ApiException):
        core.delete_namespace(name)


def owner_reference(
    owner: Any, *, kind: str = "ConfigMap", version: str = "v1", blocks: bool = False
) -> dict[str, Any]:
    metadata = owner["metadata"] if isinstance(owner, dict) else owner.metadata.to_dict()
    return {
        "apiVersion": version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "blockOwnerDeletion": blocks,
    }


def config_map(core: CoreV1Api, namespace: str, name: str, *owners: dict[str, Any], finalizer: str = "") -> Any:
    metadata: dict[str, Any] = {"name": name, "ownerReferences": list(owners)}
    if finalizer:
        metadata["finalizers"] = [finalizer]
    return core.create_namespaced_config_map(namespace, {"metadata": metadata})
