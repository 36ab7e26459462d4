"""Who may do what: RBAC, its sentences, and the reviews that ask about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.lab.apiserver.objects import configmap
from tests.lab.apiserver.rest import APPLY_PATCH, Object, Rest, status

RBAC = "/apis/rbac.authorization.k8s.io/v1"
Ask = Callable[..., requests.Response]


@pytest.fixture
def account(api: Rest, namespace: str) -> str:
    """The user name of a service account without any rights."""
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "worker"}})
    return f"system:serviceaccount:{namespace}:worker"


@pytest.fixture
def ask(api: Rest, account: str, namespace: str) -> Ask:
    """A request as that account, by a token of its own."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/worker/token"
    token = api.create(path, {"spec": {}})["status"]["token"]

    def send(method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return requests.request(method, api.url + path, headers=headers, verify=api.session.verify, timeout=30, **more)

    return send


def allow(api: Rest, namespace: str, *rules: Object) -> None:
    role = {"metadata": {"name": "worker"}, "rules": list(rules)}
    api.create(f"{RBAC}/namespaces/{namespace}/roles", role)
    binding = {
        "metadata": {"name": "worker"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "worker"},
        "subjects": [{"kind": "ServiceAccount", "name": "worker", "namespace": namespace}],
    }
    api.create(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)


def test_everything_is_forbidden_at_first(ask: Ask, account: str, namespace: str) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    assert status(ask("GET", maps)) == (
        403,
        "Forbidden",
        f'configmaps is forbidden: User "{account}" cannot list resource "configmaps" in API group "" in the '
        f'namespace "{namespace}"',
    )
    assert status(ask("GET", f"{maps}/a"))[2] == (
        f'configmaps "a" is forbidden: User "{account}" cannot get resource "configmaps" in API group "" in the '
        f'namespace "{namespace}"'
    )
    assert status(ask("GET", "/api/v1/nodes"))[2] == (
        f'nodes is forbidden: User "{account}" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    assert status(ask("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/a/scale"))[2] == (
        f'deployments.apps "a" is forbidden: User "{account}" cannot get resource "deployments/scale" in API group '
        f'"apps" in the namespace "{namespace}"'
    )
    assert status(ask("GET", "/metrics"))[2] == f'forbidden: User "{account}" cannot get path "/metrics"'


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("POST", "", "create"),
        ("PUT", "/a", "update"),
        ("PATCH", "/a", "patch"),
        ("DELETE", "/a", "delete"),
        ("DELETE", "", "deletecollection"),
    ],
)
def test_reading_is_no_leave_to_write(api: Rest, ask: Ask, namespace: str, method: str, path: str, verb: str) -> None:
    """Each write that is denied leaves the object as it was."""
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    before = api.create(maps, configmap("a", x="1"))
    allow(api, namespace, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]})
    assert ask("GET", f"{maps}/a").ok
    code, reason, message = status(ask(method, maps + path, json=configmap("a", x="2")))
    assert (code, reason) == (403, "Forbidden")
    assert f'cannot {verb} resource "configmaps"' in message
    assert api.get(f"{maps}/a") == before


def test_an_apply_that_creates_needs_leave_to_create(api: Rest, ask: Ask, namespace: str) -> None:
    allow(api, namespace, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]})
    path = f"/api/v1/namespaces/{namespace}/configmaps/a"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    more = {"data": json.dumps(body), "params": {"fieldManager": "me"}, "headers": {"Content-Type": APPLY_PATCH}}
    code, _, message = status(ask("PATCH", path, **more))
    assert (code, 'cannot create resource "configmaps"' in message) == (403, True)
    api.apply(path, body, "admin")
    assert ask("PATCH", path, **more).ok


def test_a_rule_may_name_objects(api: Rest, ask: Ask, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    for name in ("mine", "other"):
        api.create(path, {"metadata": {"name": name}})
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"], "resourceNames": ["mine"]}
    allow(api, namespace, rule)
    assert ask("GET", f"{path}/mine").ok
    assert ask("GET", f"{path}/other").status_code == 403
    assert ask("GET", path).status_code == 403
    assert ask("GET", path, params={"fieldSelector": "metadata.name=mine"}).ok


def test_nobody_grants_more_than_they_hold(api: Rest, ask: Ask, namespace: str) -> None:
    allow(
        api,
        namespace,
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    )
    path = f"{RBAC}/namespaces/{namespace}/roles"
    own = {"metadata": {"name": "own"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    assert ask("POST", path, json=own).status_code == 201
    more = {"metadata": {"name": "more"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    code, reason, message = status(ask("POST", path, json=more))
    assert (code, reason) == (403, "Forbidden")
    assert "is attempting to grant RBAC permissions not currently held" in message


def test_a_binding_keeps_its_role(api: Rest, namespace: str, account: str) -> None:
    allow(api, namespace)
    change = {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "other"}}
    response = api.send_patch(f"{RBAC}/namespaces/{namespace}/rolebindings/worker", change)
    assert status(response)[:2] == (422, "Invalid")
    assert "cannot change roleRef" in status(response)[2]


def test_nobody_in_particular_may_see_little(api: Rest) -> None:
    def anonymous(path: str) -> requests.Response:
        return requests.get(api.url + path, verify=api.session.verify, timeout=30)

    assert anonymous("/version").ok
    assert anonymous("/readyz").text == "ok"
    assert status(anonymous("/api/v1/pods")) == (
        403,
        "Forbidden",
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
    )


def test_a_wrong_token_is_nobody(api: Rest) -> None:
    headers = {"Authorization": "Bearer nonsense"}
    response = requests.get(f"{api.url}/version", headers=headers, verify=api.session.verify, timeout=30)
    assert status(response) == (401, "Unauthorized", "Unauthorized")


class TestReviews:
    """Questions about rights."""

    PATH = "/apis/authorization.k8s.io/v1"

    def test_an_access_review_decides_like_a_request(self, api: Rest, namespace: str, account: str) -> None:
        allow(api, namespace, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})

        def allowed(verb: str) -> bool:
            attributes = {"verb": verb, "resource": "pods", "namespace": namespace}
            body = {"spec": {"user": account, "resourceAttributes": attributes}}
            found: bool = api.create(f"{self.PATH}/subjectaccessreviews", body)["status"]["allowed"]
            local = api.create(f"{self.PATH}/namespaces/{namespace}/localsubjectaccessreviews", body)
            assert local["status"]["allowed"] is found
            return found

        assert (allowed("get"), allowed("delete")) == (True, False)

    def test_everybody_may_ask_about_themselves(self, api: Rest, ask: Ask, namespace: str, account: str) -> None:
        body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": namespace}}}
        answer = ask("POST", f"{self.PATH}/selfsubjectaccessreviews", json=body).json()
        assert answer["status"]["allowed"] is False
        own = ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}).json()
        assert own["status"]["userInfo"]["username"] == account

    def test_everybody_may_list_their_rules(self, api: Rest, ask: Ask, namespace: str) -> None:
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
        allow(api, namespace, rule)
        body = {"spec": {"namespace": namespace}}
        answer = ask("POST", f"{self.PATH}/selfsubjectrulesreviews", json=body).json()
        assert rule in answer["status"]["resourceRules"]

    def test_a_review_of_nothing_is_invalid(self, api: Rest, account: str) -> None:
        response = api.request("POST", f"{self.PATH}/subjectaccessreviews", json={"spec": {"user": account}})
        assert status(response)[:2] == (422, "Invalid")


class TestImpersonation:
    """kubectl --as."""

    def test_the_admin_acts_as_somebody_else(self, api: Rest, namespace: str, account: str) -> None:
        response = api.request("GET", "/api/v1/nodes", headers={"Impersonate-User": account})
        assert response.status_code == 403
        assert f'User "{account}" cannot list' in response.json()["message"]

    def test_others_may_not(self, ask: Ask, account: str) -> None:
        """The verb in the text is `impersonate`; from 1.36 on it may say which kind of user, and to do what."""
        response = ask("GET", "/api/v1/nodes", headers={"Impersonate-User": "somebody"})
        code, reason, message = status(response)
        assert (code, reason) == (403, "Forbidden")
        assert re.search(rf' is forbidden: User "{account}" cannot impersonate\S* resource "', message)
