"""Acting as somebody else (kubectl --as, --as-group): allowed by the verb ``impersonate``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.apiserver import errors
from lab.apiserver.access import Access
from lab.apiserver.authentication import ANONYMOUS, AUTHENTICATED
from lab.apiserver.authorization import Attributes, User
from lab.apiserver.errors import ApiError

PREFIX = "system:serviceaccount:"


def impersonated(access: Access, user: User, headers: Mapping[str, str], groups: Iterable[str]) -> User:
    """The user that a request is to be judged as. ``groups``: the values of its Impersonate-Group headers.

    Raises ApiError 403 unless ``user`` may impersonate the name and each group.
    """
    name, wanted = headers.get("impersonate-user", ""), tuple(groups)
    if not name and not wanted:
        return user
    if not name:
        raise errors.internal(f"requested {list(wanted)} without impersonating a user")
    account = name.removeprefix(PREFIX).split(":") if name.startswith(PREFIX) else []
    if len(account) == 2:
        _require(access, user, "serviceaccounts", account[1], account[0])
        wanted = wanted or ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    else:
        _require(access, user, "users", name)
    for group in groups:
        _require(access, user, "groups", group)
    if name != ANONYMOUS.name and AUTHENTICATED not in wanted:
        wanted = (*wanted, AUTHENTICATED)
    return User(name, "", wanted)


def _require(access: Access, user: User, resource: str, name: str, namespace: str = "") -> None:
    attributes = Attributes(verb="impersonate", resource=resource, name=name, namespace=namespace)
    if not access.decide(user, attributes).allowed:
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        text = f'User "{user.name}" cannot impersonate resource "{resource}" in API group "" {where}'
        details = {"name": name, "kind": resource}
        raise ApiError(403, "Forbidden", f'{resource} "{name}" is forbidden: {text}', details)
