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
from lab.services import openbao, openbao_setup
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


def test_an_app_role_reads_current_credentials_and_writes_nothing(lab: Lab) -> None:
    def play() -> None:
        openbao.client(lab).secrets.kv.v2.create_or_update_secret("svc/one", {"password": "a"}, **KV)
        app = hvac.Client(url=openbao.url(lab), verify=str(lab.certs / "ca.crt"))
        role_id = credentials.read(lab.credentials, "openbao_role_id")
        app.auth.approle.login(role_id, credentials.read(lab.credentials, "openbao_secret_id"))
        assert read(app, "svc/one") == {"password": "a"}
        with pytest.raises(Forbidden):
            app.secrets.kv.v2.create_or_update_secret("svc/one", {"password": "b"}, **KV)
        with pytest.raises(Forbidden):
            read(app, "rotation/pending/one")
        with pytest.raises(InvalidRequest):
            app.auth.approle.login(role_id, "wrong")

    run(lab, [alone(lab)], played(play))


def test_after_a_restart_it_unseals_itself_and_knows_everything_even_on_other_ports(lab: Lab) -> None:
    def write() -> None:
        openbao.client(lab).secrets.kv.v2.create_or_update_secret("svc/one", {"password": "a"}, **KV)

    run(lab, [alone(lab)], played(write))
    root_token, secret_id = (credentials.read(lab.credentials, name) for name in ("openbao_root", "openbao_secret_id"))
    moved = Lab(lab.root, Ports())

    def look() -> None:
        client = openbao.client(moved)
        assert client.sys.is_sealed() is False
        assert read(client, "svc/one") == {"password": "a"}
        assert credentials.read(lab.credentials, "openbao_root") == root_token
        assert credentials.read(lab.credentials, "openbao_secret_id") == secret_id

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
        namespace, name = openbao_setup.POD_ACCOUNT
        async with Kube(lab.admin_kubeconfig) as kube:
            await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, manager="test")
            for account in (name, "somebody-else"):
                place = {"name": account, "namespace": namespace}
                await kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place}, manager="test")
        token = await kubeconfigs.service_account_token(lab.admin_kubeconfig, namespace, name)
        stranger = await kubeconfigs.service_account_token(lab.admin_kubeconfig, namespace, "somebody-else")

        def log_in() -> None:
            pod = hvac.Client(url=openbao.url(lab), verify=str(lab.certs / "ca.crt"))
            pod.auth.kubernetes.login(openbao_setup.KUBERNETES_ROLE, token)
            assert openbao_setup.READER in pod.lookup_token()["data"]["policies"]
            with pytest.raises(Forbidden):
                pod.auth.kubernetes.login(openbao_setup.KUBERNETES_ROLE, stranger)
            with pytest.raises(Forbidden):
                pod.auth.kubernetes.login(openbao_setup.KUBERNETES_ROLE, token[:-4] + "AAAA")

        await asyncio.to_thread(log_in)

    run(lab, [apiserver(lab), openbao.openbao(lab)], play)
