"""OpenBao of the lab: the real server."""

import asyncio
import dataclasses
import stat
from collections.abc import Awaitable, Callable

import hvac
import pytest
from hvac.exceptions import Forbidden, InvalidRequest

from lab import credentials, kubeconfigs, pki
from lab.kube import Kube
from lab.layout import Lab
from lab.ports import Ports
from lab.services import nodes, openbao, openbao_setup
from lab.services.apiserver import apiserver
from lab.services.probes import https_status
from lab.supervisor.service import Service
from lab.supervisor.supervisor import Supervisor
from tests.lab.services.stage import run

KV = {"mount_point": openbao_setup.MOUNT}


def alone(lab: Lab) -> Service:
    """OpenBao with what needs no API server."""

    async def finish() -> None:
        await openbao.unseal(lab)
        await asyncio.to_thread(openbao_setup.set_up_store, lab, openbao.client(lab))

    return dataclasses.replace(openbao.openbao(lab), after=(), finish=finish)


def read(client: hvac.Client, path: str) -> object:
    """The current data of a secret."""
    kv = client.secrets.kv.v2
    return kv.read_secret_version(path, raise_on_deleted_version=True, **KV)["data"]["data"]


def played(play: Callable[[], None]) -> Callable[[Supervisor], Awaitable[None]]:
    """A play whose calls block."""

    async def in_a_thread(_: Supervisor) -> None:
        await asyncio.to_thread(play)

    return in_a_thread


def test_a_secret_is_written_only_over_the_version_that_was_read(lab: Lab) -> None:
    """Check-and-set is what keeps two rotations apart."""

    def play() -> None:
        kv = openbao.client(lab).secrets.kv.v2
        kv.create_or_update_secret("svc/one", {"password": "a"}, cas=0, **KV)
        with pytest.raises(InvalidRequest, match="check-and-set parameter did not match"):
            kv.create_or_update_secret("svc/one", {"password": "b"}, cas=0, **KV)
        kv.create_or_update_secret("svc/one", {"password": "b"}, cas=1, **KV)
        assert read(openbao.client(lab), "svc/one") == {"password": "b"}

    run(lab, [alone(lab)], played(play))


def log_in(lab: Lab, role: str) -> hvac.Client:
    """A client that has logged in as one of the AppRoles."""
    client = hvac.Client(url=openbao.url(lab), verify=str(lab.certs / "ca.crt"))
    role_id, secret_id = (file.read_text() for file in openbao_setup.role_files(lab, role))
    client.auth.approle.login(role_id, secret_id)
    return client


def test_workers_rotate_and_the_triggerer_only_looks(lab: Lab) -> None:
    def play() -> None:
        worker, triggerer = log_in(lab, "worker"), log_in(lab, "triggerer")
        for path in ("svc/one", "rotation/pending/one"):
            worker.secrets.kv.v2.create_or_update_secret(path, {"password": "a"}, cas=0, **KV)
            assert read(triggerer, path) == {"password": "a"}
            with pytest.raises(Forbidden):
                triggerer.secrets.kv.v2.create_or_update_secret(path, {"password": "b"}, cas=1, **KV)
        with pytest.raises(Forbidden):
            worker.secrets.kv.v2.delete_metadata_and_all_versions("svc/one", **KV)
        role_id = openbao_setup.role_files(lab, "worker")[0].read_text()
        with pytest.raises(InvalidRequest):
            worker.auth.approle.login(role_id, "wrong")

    run(lab, [alone(lab)], played(play))


def test_after_a_restart_it_unseals_itself_and_knows_everything_even_on_other_ports(lab: Lab) -> None:
    def write() -> None:
        openbao.client(lab).secrets.kv.v2.create_or_update_secret("svc/one", {"password": "a"}, **KV)

    run(lab, [alone(lab)], played(write))
    files = [lab.credentials / "openbao_root", openbao_setup.role_files(lab, "worker")[1]]
    before = [file.read_text() for file in files]
    moved = Lab(lab.root, Ports())

    def look() -> None:
        client = openbao.client(moved)
        assert client.sys.is_sealed() is False
        assert read(client, "svc/one") == {"password": "a"}
        assert [file.read_text() for file in files] == before

    run(moved, [alone(moved)], played(look))


def test_a_start_killed_before_the_root_token_was_stored_is_begun_anew(lab: Lab) -> None:
    """Initialized, but nobody holds its token: such a store can never be used."""

    def nothing() -> None:
        pass

    run(lab, [alone(lab)], played(nothing))
    (lab.credentials / "openbao_root").unlink()

    def play() -> None:
        openbao.client(lab).secrets.kv.v2.create_or_update_secret("svc/one", {"password": "a"}, cas=0, **KV)

    run(lab, [alone(lab)], played(play))
    assert len(list(lab.data("openbao").parent.glob("openbao.without-token-*"))) == 1


def test_only_the_labs_authority_vouches_for_it(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever else answers on the port, or whoever asks without the lab's authority, gets nowhere."""
    other = tmp_path_factory.mktemp("other")
    pki.issue(other)

    async def play(_: Supervisor) -> None:
        health = f"{openbao.url(lab)}/v1/sys/health"
        assert await https_status(health, lab.certs / "ca.crt") == 200
        assert await https_status(health, other / "ca.crt") is None

    run(lab, [alone(lab)], play)


def test_its_secrets_are_in_files_for_the_owner_only(lab: Lab) -> None:
    async def play(_: Supervisor) -> None:
        for file in (lab.data("openbao") / "seal.key", lab.credentials / "openbao_root"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert credentials.read(lab.credentials, "openbao_root") not in (lab.log / "openbao.log").read_text()

    run(lab, [alone(lab)], play)


def test_a_pod_logs_in_with_its_service_account(lab: Lab) -> None:
    """OpenBao shows the token to the API server, which says whose it is; another account's is refused."""

    async def play(_: Supervisor) -> None:
        namespace, role = "airflow", "infra-ops-credentials"
        async with Kube(lab.admin_kubeconfig) as kube:
            await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, manager="test")
            for account in (role, "somebody-else"):
                place = {"name": account, "namespace": namespace}
                await kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place}, manager="test")
        token = await kubeconfigs.service_account_token(lab.admin_kubeconfig, namespace, role)
        stranger = await kubeconfigs.service_account_token(lab.admin_kubeconfig, namespace, "somebody-else")

        def play_pod() -> None:
            pod = hvac.Client(url=openbao.url(lab), verify=str(lab.certs / "ca.crt"))
            pod.auth.kubernetes.login(role, token)
            assert role in pod.lookup_token()["data"]["policies"]
            with pytest.raises(Forbidden):
                pod.auth.kubernetes.login(role, stranger)
            with pytest.raises(Forbidden):
                pod.auth.kubernetes.login(role, token[:-4] + "AAAA")

        await asyncio.to_thread(play_pod)

    run(lab, [nodes.nodes(lab), apiserver(lab), openbao.openbao(lab)], play)
