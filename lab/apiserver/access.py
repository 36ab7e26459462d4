"""May this user do this? RBAC over the roles and bindings in the store, and the server's words of refusal."""

from __future__ import annotations

from lab.apiserver import errors
from lab.apiserver.authorization import Attributes, Decision, Policy, User
from lab.apiserver.errors import ApiError
from lab.apiserver.registry import Registry
from lab.apiserver.requests import Request, Target
from lab.apiserver.storage import Event

GROUP = "rbac.authorization.k8s.io"
KINDS = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")


class Access:
    """Decides requests by the policy of this moment; it is built again only after an RBAC object changed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._resources = [registry.resource(GROUP, plural) for plural in KINDS]
        self._prefixes = tuple(resource.prefix for resource in self._resources)
        self._policy: Policy | None = None
        registry.store.listeners.append(self._hear)

    def _hear(self, event: Event) -> None:
        if event.new.key.startswith(self._prefixes):
            self._policy = None

    @property
    def policy(self) -> Policy:
        if self._policy is None:
            self._policy = Policy(*(self._registry.list(resource) for resource in self._resources))
        return self._policy

    def decide(self, user: User, attributes: Attributes) -> Decision:
        return self.policy.decide(user, attributes)

    def require(self, request: Request, target: Target) -> None:
        """Raises ApiError 403 unless the sender may do what the request asks."""
        attributes = target.attributes(request.query)
        decision = self.decide(request.user, attributes)
        if not decision.allowed:
            raise refusal(request.user, attributes, target, decision.reason)

    def require_path(self, request: Request) -> None:
        """The same for a path that names no resource (/version, /openapi/v3)."""
        verb = request.method.lower()
        decision = self.decide(request.user, Attributes(verb=verb, path=request.path))
        if not decision.allowed:
            text = f'User "{request.user.name}" cannot {verb} path "{request.path}"'
            raise errors.forbidden_path(_with_reason(text, decision.reason))


def refusal(user: User, attributes: Attributes, target: Target, reason: str) -> ApiError:
    """The 403 of a real server."""
    what = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    text = f'User "{user.name}" cannot {attributes.verb} resource "{what}" in API group "{attributes.group}" {where}'
    return errors.forbidden(target.resource, target.name, _with_reason(text, reason))


def _with_reason(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text
