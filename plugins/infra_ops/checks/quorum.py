"""May a server of the datastore be away for a moment?"""

from __future__ import annotations

from collections.abc import Mapping


def lost_without(server: str, healthy: Mapping[str, bool]) -> str:
    """Why the datastore would stop without `server`, "" when it would not. `healthy` has every member.

    A server that is alone takes its datastore with it and brings it back: nobody votes, so nothing is lost.
    """
    others = [name for name, good in healthy.items() if good and name != server]
    need = len(healthy) // 2 + 1
    if len(healthy) == 1 or len(others) >= need:
        return ""
    sick = sorted(name for name, good in healthy.items() if not good and name != server)
    if sick:
        return f"the etcd members of {', '.join(sick)} are not healthy"
    return "two servers are no quorum when one is away: have one or three"
