"""Which taints of a node a toleration bears.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from typing import Any

Object = dict[str, Any]


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether this toleration, which may name no key or no effect and means every one then, bears the taint."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value") or "") == (taint["key"], taint.get("value") or "")
