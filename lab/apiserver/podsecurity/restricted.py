"""The restricted standard: what a pod must say it will do without."""

from __future__ import annotations

from lab.apiserver.podsecurity.pods import (
    PROFILES,
    Check,
    Object,
    Violation,
    added_capabilities,
    containers,
    plural,
    profiles,
    quoted,
    setters,
    setting,
    these,
)

VOLUMES = frozenset(
    {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
        "secret",
    }
)  # fmt: skip
ADDABLE = frozenset({"NET_BIND_SERVICE"})


def _is_windows(spec: Object) -> bool:
    """Windows pods cannot set what these checks ask for, so they are spared."""
    return (spec.get("os") or {}).get("name") == "windows"


def _privilege_escalation(metadata: Object, spec: Object) -> Violation | None:
    names = [
        container["name"]
        for container in containers(spec)
        if setting(container, "allowPrivilegeEscalation") is not False
    ]
    if not names or _is_windows(spec):
        return None
    text = f"{these(names)} must set securityContext.allowPrivilegeEscalation=false"
    return "allowPrivilegeEscalation != false", text


def _capabilities(metadata: Object, spec: Object) -> Violation | None:
    if _is_windows(spec):
        return None
    keeping = [
        container["name"]
        for container in containers(spec)
        if "ALL" not in (setting(container, "capabilities", "drop") or ())
    ]
    texts = [f'{these(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    texts += filter(None, [added_capabilities(spec, ADDABLE)])
    return ("unrestricted capabilities", "; ".join(texts)) if texts else None


def _volumes(metadata: Object, spec: Object) -> Violation | None:
    sources = {
        volume["name"]: next(
            (name for name, value in volume.items() if name != "name" and value is not None), "unknown"
        )
        for volume in spec.get("volumes") or []
    }
    bad = {name: source for name, source in sources.items() if source not in VOLUMES}
    if not bad:
        return None
    types = sorted(set(bad.values()))
    who = f"{plural('volume', len(bad))} {quoted(bad)}"
    verb, noun = ("use" if len(bad) > 1 else "uses"), plural("restricted volume type", len(types))
    return "restricted volume types", f"{who} {verb} {noun} {quoted(types)}"


def _run_as_non_root(metadata: Object, spec: Object) -> Violation | None:
    reason = "runAsNonRoot != true"
    who = setters(spec, lambda holder: setting(holder, "runAsNonRoot") is False)
    if who:
        return reason, f"{who} must not set securityContext.runAsNonRoot=false"
    silent = [container["name"] for container in containers(spec) if setting(container, "runAsNonRoot") is None]
    if not silent or setting(spec, "runAsNonRoot"):
        return None
    return reason, f"pod or {these(silent)} must set securityContext.runAsNonRoot=true"


def _run_as_user(metadata: Object, spec: Object) -> Violation | None:
    who = setters(spec, lambda holder: setting(holder, "runAsUser") == 0)
    return ("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def _seccomp(metadata: Object, spec: Object) -> Violation | None:
    if _is_windows(spec):
        return None
    who, types = profiles(spec, "seccompProfile")
    if who:
        return "seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {quoted(types)}"
    silent = [container["name"] for container in containers(spec) if setting(container, "seccompProfile") is None]
    if not silent or setting(spec, "seccompProfile"):
        return None
    choice = " or ".join(f'"{name}"' for name in PROFILES)
    return "seccompProfile", f"pod or {these(silent)} must set securityContext.seccompProfile.type to {choice}"


# In the order in which the plugin reports them, after the checks of the baseline that none of these replaces.
CHECKS: dict[str, Check] = {
    "allowPrivilegeEscalation": _privilege_escalation,
    "capabilities": _capabilities,
    "volumes": _volumes,
    "runAsNonRoot": _run_as_non_root,
    "runAsUser": _run_as_user,
    "seccompProfile": _seccomp,
}
REPLACES = frozenset({"capabilities", "hostPathVolumes", "seccompProfile"})
