"""Service-account tokens: made by TokenRequest, told by TokenReview, and ended with what they are bound to."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
import requests

from tests.lab.apiserver.objects import pod
from tests.lab.apiserver.rest import Object, Rest, status

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.fixture
def accounts(api: Rest, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(path, {"metadata": {"name": "worker"}})
    return path


def token_of(api: Rest, accounts: str, name: str = "worker", **spec: Any) -> str:
    made: str = api.create(f"{accounts}/{name}/token", {"spec": spec})["status"]["token"]
    return made


def review(api: Rest, token: str, **spec: Any) -> Object:
    found: Object = api.create(REVIEWS, {"spec": {"token": token, **spec}})["status"]
    return found


def claims_of(token: str) -> Object:
    payload = token.split(".")[1]
    found: Object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def test_a_token_tells_its_account(api: Rest, accounts: str, namespace: str) -> None:
    uid = api.get(f"{accounts}/worker")["metadata"]["uid"]
    found = review(api, token_of(api, accounts))
    assert found["authenticated"] is True
    user = found["user"]
    assert (user["username"], user["uid"]) == (f"system:serviceaccount:{namespace}:worker", uid)
    assert set(user["groups"]) == {
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    }


def test_a_token_says_what_a_real_one_says(api: Rest, accounts: str, namespace: str) -> None:
    token = token_of(api, accounts, expirationSeconds=1200)
    claims = claims_of(token)
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert claims["sub"] == f"system:serviceaccount:{namespace}:worker"
    assert claims["kubernetes.io"]["namespace"] == namespace
    assert claims["exp"] - claims["iat"] == 1200
    assert {"aud", "iss", "jti", "nbf"} <= claims.keys()


def test_the_published_keys_verify_a_token(api: Rest, accounts: str) -> None:
    token = token_of(api, accounts)
    keys = jwt.PyJWKSet.from_dict(api.get("/openid/v1/jwks"))
    key = next(key for key in keys.keys if key.key_id == jwt.get_unverified_header(token)["kid"])
    assert jwt.decode(token, key.key, algorithms=["RS256"], options={"verify_aud": False})


def test_a_forged_token_tells_nobody(api: Rest, accounts: str) -> None:
    head, body, signature = token_of(api, accounts).split(".")
    claims = claims_of(f"{head}.{body}.{signature}") | {"sub": "system:serviceaccount:kube-system:admin"}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    for token in (f"{head}.{forged}.{signature}", "nonsense"):
        found = review(api, token)
        assert not found.get("authenticated")
        assert found["error"]


def test_an_unsigned_token_tells_nobody(api: Rest, accounts: str) -> None:
    """The algorithm is the server's choice, not the token's."""
    claims = claims_of(token_of(api, accounts))
    assert not review(api, jwt.encode(claims, "", algorithm="none")).get("authenticated")
    assert not review(api, jwt.encode(claims, "guess", algorithm="HS256")).get("authenticated")


def test_an_audience_is_kept(api: Rest, accounts: str) -> None:
    """A token for the vault is worthless at the API server, and the other way round."""
    token = token_of(api, accounts, audiences=["vault"])
    assert not review(api, token).get("authenticated")
    found = review(api, token, audiences=["vault", "other"])
    assert (found["authenticated"], found["audiences"]) == (True, ["vault"])
    headers = {"Authorization": f"Bearer {token}"}
    response = requests.get(f"{api.url}/api/v1/pods", headers=headers, verify=api.session.verify, timeout=30)
    assert response.status_code == 401
    assert not review(api, token_of(api, accounts), audiences=["vault"]).get("authenticated")


@pytest.mark.parametrize("seconds", [1, 599])
def test_a_token_lives_at_least_ten_minutes(api: Rest, accounts: str, seconds: int) -> None:
    response = api.request("POST", f"{accounts}/worker/token", json={"spec": {"expirationSeconds": seconds}})
    code, reason, message = status(response)
    assert (code, reason) == (422, "Invalid")
    assert "may not specify a duration less than 10 minutes" in message


def test_a_token_of_a_missing_account_is_not_made(api: Rest, accounts: str) -> None:
    response = api.request("POST", f"{accounts}/lost/token", json={"spec": {}})
    assert status(response) == (404, "NotFound", 'serviceaccounts "lost" not found')


def test_a_token_ends_with_its_account(api: Rest, accounts: str) -> None:
    """A new account of the same name does not wake it up."""
    token = token_of(api, accounts)
    api.delete(f"{accounts}/worker")
    api.create(accounts, {"metadata": {"name": "worker"}})
    _until_unknown(api, token)


def test_a_token_ends_with_its_pod(api: Rest, accounts: str, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    made = api.create(pods, pod("a", schedulerName="nobody", serviceAccountName="worker"))
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "a", "uid": made["metadata"]["uid"]}
    token = token_of(api, accounts, boundObjectRef=reference)
    extra = review(api, token)["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["a"]
    api.request("DELETE", f"{pods}/a", json={"gracePeriodSeconds": 0})
    _until_unknown(api, token)


def test_a_token_is_bound_to_a_pod_of_its_own_account(api: Rest, accounts: str, namespace: str) -> None:
    api.create(f"/api/v1/namespaces/{namespace}/pods", pod("a", schedulerName="nobody"))
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "a"}
    response = api.request("POST", f"{accounts}/worker/token", json={"spec": {"boundObjectRef": reference}})
    code, _, message = status(response)
    assert (code, "pod running with different serviceaccount name" in message) == (400, True)


def test_a_token_is_not_bound_to_a_pod_that_is_gone(api: Rest, accounts: str, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    api.create(pods, pod("a", schedulerName="nobody", serviceAccountName="worker"))
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "a", "uid": "11111111-1111-1111-1111-111111111111"}
    response = api.request("POST", f"{accounts}/worker/token", json={"spec": {"boundObjectRef": reference}})
    assert status(response)[:2] == (409, "Conflict")


def _until_unknown(api: Rest, token: str) -> None:
    """A real server remembers a good token for ten seconds."""
    deadline = time.monotonic() + 15
    while review(api, token).get("authenticated"):
        assert time.monotonic() < deadline, "the token still counts"
        time.sleep(0.5)
