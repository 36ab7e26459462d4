"""Reviews: questions about users and their rights, asked by POST and stored nowhere."""

from __future__ import annotations

from typing import Any

from lab.apiserver import bodies, errors
from lab.apiserver.access import Access
from lab.apiserver.authentication import Authenticator
from lab.apiserver.authorization import Attributes, User
from lab.apiserver.decoding import Decoder
from lab.apiserver.registry import now
from lab.apiserver.requests import Request, Target
from lab.apiserver.responses import Response, json_response
from lab.apiserver.tokens import AUDIENCES, InvalidToken

Object = dict[str, Any]


class Reviews:
    """Answers the *Review kinds of authentication.k8s.io and authorization.k8s.io."""

    def __init__(self, decoder: Decoder, access: Access, authenticator: Authenticator) -> None:
        self._decoder = decoder
        self._access = access
        self._authenticator = authenticator

    def answer(self, request: Request, target: Target) -> Response:
        """The review that was sent, with its status. Raises ApiError 400 and 422."""
        resource = target.resource
        body = self._decoder.typed(resource, bodies.read(request))
        spec = body.get("spec") or {}
        match resource.kind:
            case "TokenReview":
                status = self._token(spec)
            case "SelfSubjectReview":
                status = {"userInfo": _user_info(request.user, request.extra)}
            case "SelfSubjectRulesReview":
                status = self._rules(request, spec)
            case kind:
                user = request.user if kind == "SelfSubjectAccessReview" else _subject(kind, spec)
                status = self._access_to(user, kind, spec, target.namespace)
        answer = {
            **body,
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {**(body.get("metadata") or {}), "creationTimestamp": now()},
            "spec": spec,
            "status": status,
        }
        return json_response(answer, 201)

    def _token(self, spec: Object) -> Object:
        if not spec.get("token"):
            raise errors.bad_request("token is required for TokenReview in authentication")
        try:
            bearer = self._authenticator.token(spec["token"], tuple(spec.get("audiences") or AUDIENCES))
        except InvalidToken as error:
            return {"user": {}, "error": f"[invalid bearer token, {error}]"}
        return {
            "authenticated": True,
            "user": _user_info(bearer.user, bearer.extra),
            "audiences": list(bearer.audiences if spec.get("audiences") else AUDIENCES[:1]),
        }

    def _access_to(self, user: User, kind: str, spec: Object, namespace: str) -> Object:
        asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if bool(asked) == bool(path):
            text = 'Invalid value: "": exactly one of nonResourceAttributes or resourceAttributes must be specified'
            raise errors.invalid("authorization.k8s.io", kind, "", [("spec.resourceAttributes", text)])
        if kind == "LocalSubjectAccessReview" and (asked or {}).get("namespace") != namespace:
            text = f'Invalid value: "{(asked or {}).get("namespace", "")}": must match metadata.namespace'
            raise errors.invalid("authorization.k8s.io", kind, "", [("spec.resourceAttributes.namespace", text)])
        if asked:
            fields = ("verb", "group", "resource", "subresource", "name", "namespace")
            attributes = Attributes(**{field: asked.get(field) or "" for field in fields})
        else:
            attributes = Attributes(verb=(path or {}).get("verb", ""), path=(path or {}).get("path", ""))
        decision = self._access.decide(user, attributes)
        return {"allowed": decision.allowed, **({"reason": decision.reason} if decision.reason else {})}

    def _rules(self, request: Request, spec: Object) -> Object:
        namespace = spec.get("namespace")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        rules = self._access.policy.rules_for(request.user, namespace)
        return {
            "resourceRules": [rule for rule in rules if not rule.get("nonResourceURLs")],
            "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
            "incomplete": False,
        }


def _subject(kind: str, spec: Object) -> User:
    if not spec.get("user") and not spec.get("groups"):
        text = 'Invalid value: "": at least one of user or group must be specified'
        raise errors.invalid("authorization.k8s.io", kind, "", [("spec.user", text)])
    return User(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()))


def _user_info(user: User, extra: Any) -> Object:
    found = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": dict(extra)}
    return {key: value for key, value in found.items() if value}
