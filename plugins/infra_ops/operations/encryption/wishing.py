"""What is wished for, as the way that leads there from what is in force: enable, rotate, disable, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from infra_ops.checks.encryption import ROTATE_AFTER
from infra_ops.models.encryption import (
    IDENTITY,
    NONE,
    Key,
    Providers,
    Way,
    disabling,
    enabling,
    next_name,
    order,
    rotating,
)
from infra_ops.models.problems import Refusal


def wished(
    lists: Mapping[str, Providers], keys: Mapping[str, Key], now: datetime, *, force: bool, disable: bool
) -> Way | None:
    """The way to go; None when Secrets are plain and shall stay so. What was begun is ended before anything is begun.

    Raises Refusal when the wish does not fit what is in force.
    """
    found = set(lists.values())
    in_use = order([name for name in keys if any(name in providers for providers in found)])
    names = order(list(keys))
    if disable:
        if force:
            raise Refusal("force and disable contradict each other: choose one.")
        if not in_use:
            return None
        if len(in_use) > 1:
            raise Refusal(f"A rotation from {in_use[0]} to {in_use[1]} is under way: end it first, without disable.")
        return disabling(in_use[0])
    if not in_use:
        return enabling(names[-1] if names else next_name(names))
    if len(in_use) > 1:
        return rotating(in_use[-2], in_use[-1])
    (key,) = in_use
    if found != {(key, IDENTITY)}:
        return enabling(key)
    if names[-1] != key:
        return rotating(key, names[-1])  # made by a run that got no further
    if force or now - keys[key].made > ROTATE_AFTER:
        return rotating(key, next_name(names))
    return enabling(key)


def settled(lists: Mapping[str, Providers]) -> str:
    """The key by which all servers write, "" when they do not all write by one."""
    found = set(lists.values())
    only = found.pop() if len(found) == 1 else NONE
    return only[0] if len(only) == 2 and only[1] == IDENTITY else ""
