"""What lies on the disk: real keys, real bytes, and nothing lost. Only the lab's own server has these insides."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from lab.apiserver.encryption import Encryption
from lab.apiserver.storage import Store
from tests.lab.apiserver.objects import configmap, pod
from tests.lab.apiserver.rest import Rest, status
from tests.lab.servers import ADMIN, ApiServer, StartServer

SECRETS = "/api/v1/namespaces/default/secrets"
MAPS = "/api/v1/namespaces/default/configmaps"
CANARY = "canary-3f1e"


def raw(server: ApiServer, key: str) -> bytes:
    """The stored bytes of a key, read by another process while the server runs."""
    with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True) as database:
        row = database.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
    assert row, f"nothing at {key}"
    return bytes(row[0])


def keys(server: ApiServer) -> set[str]:
    with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True) as database:
        return {key for (key,) in database.execute("SELECT key FROM kv")}


def encryption(folder: Path, *providers: dict[str, Any]) -> Path:
    path = folder / "encryption.json"
    rule = {"resources": ["secrets"], "providers": list(providers)}
    path.write_text(
        json.dumps({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [rule]})
    )
    return path


def aescbc(name: str, letter: str) -> dict[str, Any]:
    return {"aescbc": {"keys": [{"name": name, "secret": base64.b64encode(letter.encode() * 32).decode()}]}}


IDENTITY: dict[str, Any] = {"identity": {}}


def secret(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "stringData": {"password": CANARY}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that stores plainly, for the tests that only look."""
    with ApiServer(tmp_path_factory.mktemp("plain"), {"auditor": ("readers", "others")}) as running:
        yield running


@pytest.fixture
def api(server: ApiServer) -> Rest:
    return Rest(server.kubeconfig)


@pytest.fixture
def stopped(tmp_path: Path) -> ApiServer:
    """A server that nobody has started yet."""
    return ApiServer(tmp_path)


def test_objects_lie_at_a_real_servers_keys(server: ApiServer, api: Rest) -> None:
    api.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    api.create("/api/v1/namespaces/default/pods", pod("p"))
    api.create("/api/v1/nodes", {"metadata": {"name": "n"}})
    ingress = {"metadata": {"name": "i"}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 1}}}}}
    api.create("/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress)
    api.create("/apis/coordination.k8s.io/v1/namespaces/default/leases", {"metadata": {"name": "l"}})
    assert {
        "/registry/pods/default/p",
        "/registry/minions/n",
        "/registry/ingress/default/i",
        "/registry/leases/default/l",
        "/registry/serviceaccounts/default/default",
        "/registry/namespaces/kube-system",
        "/registry/services/specs/default/kubernetes",
        "/registry/services/endpoints/default/kubernetes",
        "/registry/clusterroles/cluster-admin",
        "/registry/configmaps/kube-system/extension-apiserver-authentication",
        "/registry/priorityclasses/system-node-critical",
    } <= keys(server)


def test_a_value_is_the_json_of_the_object(server: ApiServer, api: Rest) -> None:
    """As --storage-media-type=application/json writes it; the version is the revision, not part of the value."""
    api.create(SECRETS, secret("plain"))
    made = api.patch(f"{SECRETS}/plain", {"metadata": {"labels": {"a": "b"}}})
    bytes_ = raw(server, "/registry/secrets/default/plain")
    assert bytes_.startswith(b'{"kind":"Secret","apiVersion":"v1","metadata":{')
    assert bytes_.endswith(b"}\n")
    stored = json.loads(bytes_)
    assert "resourceVersion" not in stored["metadata"]
    made["metadata"].pop("resourceVersion")
    assert stored == made
    assert base64.b64encode(CANARY.encode()) in bytes_


def test_an_encrypted_value_shows_nothing(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--encryption-config", str(encryption(tmp_path, aescbc("key1", "a"), IDENTITY)))
    api = Rest(server.kubeconfig)
    api.create(SECRETS, secret("a"))
    bytes_ = raw(server, "/registry/secrets/default/a")
    assert bytes_.startswith(b"k8s:enc:aescbc:v1:key1:")
    assert base64.b64encode(CANARY.encode()) not in server.database.read_bytes()
    assert base64.b64encode(CANARY.encode()) not in Path(f"{server.database}-wal").read_bytes()
    assert raw(server, "/registry/namespaces/default").startswith(b"{")
    server.stop()
    server.start()
    assert base64.b64decode(api.get(f"{SECRETS}/a")["data"]["password"]).decode() == CANARY


def test_plain_values_are_encrypted_by_writing_them_again(start_server: StartServer, tmp_path: Path) -> None:
    """Even by a write that changes nothing: that is how a cluster goes over to encryption."""
    server = start_server()
    api = Rest(server.kubeconfig)
    before = api.create(SECRETS, secret("a"))
    server.stop()
    server.arguments += ["--encryption-config", str(encryption(tmp_path, aescbc("key1", "a"), IDENTITY))]
    server.start()
    found = api.get(f"{SECRETS}/a")
    assert found == before
    assert raw(server, "/registry/secrets/default/a").startswith(b"{")
    rewritten = api.replace(f"{SECRETS}/a", found)
    assert raw(server, "/registry/secrets/default/a").startswith(b"k8s:enc:aescbc:v1:key1:")
    assert int(rewritten["metadata"]["resourceVersion"]) > int(found["metadata"]["resourceVersion"])
    again = api.replace(f"{SECRETS}/a", rewritten)
    assert again["metadata"]["resourceVersion"] == rewritten["metadata"]["resourceVersion"]


def test_keys_are_rotated_by_putting_the_new_one_first(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--encryption-config", str(encryption(tmp_path, aescbc("key1", "a"), IDENTITY)))
    api = Rest(server.kubeconfig)
    made = api.create(SECRETS, secret("a"))
    server.stop()
    encryption(tmp_path, aescbc("key2", "b"), aescbc("key1", "a"), IDENTITY)
    server.start()
    api.replace(f"{SECRETS}/a", made)
    assert raw(server, "/registry/secrets/default/a").startswith(b"k8s:enc:aescbc:v1:key2:")


@pytest.mark.parametrize(
    ("providers", "reason"),
    [
        ([aescbc("key2", "b")], "no matching key was found for the provided AES transformer"),
        ([IDENTITY], "no matching prefix found"),
        ([aescbc("key1", "z"), IDENTITY], ""),
    ],
    ids=["key unknown", "encryption gone", "wrong key of the right name"],
)
def test_secrets_that_cannot_be_decrypted_fail_the_list(
    start_server: StartServer, tmp_path: Path, providers: list[dict[str, Any]], reason: str
) -> None:
    """The whole list, and only of Secrets: everything else goes on."""
    server = start_server("--encryption-config", str(encryption(tmp_path, aescbc("key1", "a"), IDENTITY)))
    api = Rest(server.kubeconfig)
    api.create(SECRETS, secret("a"))
    server.stop()
    encryption(tmp_path, *providers)
    server.start()
    for path in (SECRETS, "/api/v1/secrets", f"{SECRETS}/a"):
        code, why, message = status(api.request("GET", path))
        assert (code, why) == (500, "InternalError")
        assert 'unable to transform key "/registry/secrets/default/a": ' in message
        assert message.endswith(reason)
        assert CANARY not in message
    assert api.get(MAPS)["items"] == []
    assert api.request("DELETE", f"{SECRETS}/a").status_code == 500


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "error converting YAML to JSON: yaml: line "),
        ("kind: Other", 'no kind "Other" is registered for version'),
        (
            "{kind: EncryptionConfiguration, resources: [{resources: [secrets], providers: [{other: {}}]}]}",
            "resources[0].providers[0]: provider does not contain any of the expected providers: ",
        ),
        (
            "{kind: EncryptionConfiguration, resources: [{resources: [secrets], providers: [{secretbox: {}}]}]}",
            "resources[0].providers[0].secretbox.keys: Required value: at least one ",
        ),
        (
            "{kind: EncryptionConfiguration, resources: [{resources: [secrets], "
            "providers: [{aescbc: {keys: [{name: k, secret: c2hvcnQ=}]}}]}]}",
            'keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 5, expected one of '
            "[16 24 32]",
        ),
    ],
)
def test_a_broken_encryption_file_is_one_clear_sentence(
    stopped: ApiServer, tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "encryption.yaml"
    path.write_text(text)
    command = [*stopped.command(), "--encryption-config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("lab.apiserver: error while parsing file: ")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_kill_loses_nothing_that_was_acknowledged(start_server: StartServer) -> None:
    """SIGKILL in the middle of many writers: every object that was answered 201 is there, whole, after the restart."""
    server = start_server()
    acknowledged: set[str] = set()

    def write(writer: int) -> None:
        api = Rest(server.kubeconfig)
        for number in range(1000):
            name = f"cm-{writer}-{number}"
            try:
                if api.request("POST", MAPS, json=configmap(name, x="y" * 500)).status_code == 201:
                    acknowledged.add(name)
            except requests.RequestException:
                return

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, number) for number in range(4)]
        while len(acknowledged) < 100:
            assert not all(writer.done() for writer in writers), "the writers ended before the kill"
        server.kill()
        concurrent.futures.wait(writers)
    server.start()
    api = Rest(server.kubeconfig)
    found = {item["metadata"]["name"]: item for item in api.get(MAPS)["items"]}
    assert acknowledged <= found.keys()
    assert all(item["data"] == {"x": "y" * 500} for item in found.values())
    newest = max(int(item["metadata"]["resourceVersion"]) for item in found.values())
    assert int(api.create(MAPS, configmap("after"))["metadata"]["resourceVersion"]) > newest


def test_only_one_server_works_on_a_folder(server: ApiServer) -> None:
    second = subprocess.run(server.command(), capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert second.stderr == f"lab.apiserver: another API server is using {server.folder / 'data'}: stop it first\n"


def test_only_the_owner_reads_the_database(server: ApiServer) -> None:
    for path in (server.database, Path(f"{server.database}-wal")):
        assert path.stat().st_mode & 0o077 == 0


def test_the_default_roles_come_back_at_every_start(start_server: StartServer) -> None:
    """What was taken from them returns; what was added stays."""
    server = start_server()
    api = Rest(server.kubeconfig)
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:basic-user"
    wanted = api.get(role)["rules"]
    own = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    api.patch(role, {"rules": [own]})
    api.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/cluster-admin")
    server.stop()
    server.start()
    assert api.get(role)["rules"] == [own, *wanted]
    assert api.get("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/cluster-admin")
    version = api.get(MAPS)["metadata"]["resourceVersion"]
    server.stop()
    server.start()
    assert api.get(MAPS)["metadata"]["resourceVersion"] == version  # nothing was left to mend


def test_users_come_from_the_token_file(server: ApiServer) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    told = server.request("POST", path, user="auditor", json={}).json()["status"]["userInfo"]
    assert told["username"] == "auditor"
    assert told["groups"] == ["readers", "others", "system:authenticated"]
    assert server.request("GET", "/api/v1/nodes", user="auditor").status_code == 403
    assert server.request("GET", "/api/v1/nodes", user=ADMIN).ok


def test_a_broken_token_file_is_told_without_its_tokens(stopped: ApiServer) -> None:
    (stopped.folder / "tokens").write_text(f"{CANARY}\n")
    done = subprocess.run(stopped.command(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "line 1: expected token,user,uid" in done.stderr
    assert CANARY not in done.stderr


def test_an_expired_token_is_refused(server: ApiServer, api: Rest) -> None:
    """Signed by the server's own key, so only its time is wrong."""
    account = api.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "a"}})
    token = api.create("/api/v1/namespaces/default/serviceaccounts/a/token", {"spec": {}})["status"]["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["kubernetes.io"]["serviceaccount"]["uid"] == account["metadata"]["uid"]
    old = jwt.encode(claims | {"exp": claims["iat"] - 1}, (server.certs / "sa.key").read_bytes(), "RS256")
    review = api.create("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": old}})["status"]
    assert not review.get("authenticated")
    assert "service account token has expired" in review["error"]
    response = requests.get(
        f"{server.url}/api/v1/pods", headers={"Authorization": f"Bearer {old}"}, verify=str(server.ca), timeout=30
    )
    assert response.status_code == 401


def test_2500_objects_stay_fast(stopped: ApiServer) -> None:
    """A list of all, a page, and an event for a watch among them, each well under a second on a loaded machine."""
    store = Store(stopped.folder / "data", Encryption())
    for number in range(2500):
        obj = configmap(f"cm-{number}", {"n": str(number % 10)}, x="y" * 300)
        obj["metadata"] |= {"namespace": "default", "uid": str(number), "creationTimestamp": "2026-01-01T00:00:00Z"}
        store.put(f"/registry/configmaps/default/cm-{number}", {"kind": "ConfigMap", "apiVersion": "v1", **obj})
    store.close()
    with stopped as server:
        _measure(Rest(server.kubeconfig))


def _measure(api: Rest) -> None:
    whole = api.request("GET", MAPS)
    assert len(whole.json()["items"]) == 2500
    assert whole.elapsed.total_seconds() < 1
    page = api.request("GET", MAPS, params={"limit": "100", "labelSelector": "n=3"})
    assert page.elapsed.total_seconds() < 1
    with api.watch(MAPS, resourceVersion=whole.json()["metadata"]["resourceVersion"]) as watch:
        written = api.request("POST", MAPS, json=configmap("last"))
        assert watch.names(1) == [("ADDED", "last")]
    assert written.elapsed.total_seconds() < 0.5
