"""The baseline standard: what a pod must not ask of its node."""

from __future__ import annotations

import json

from lab.apiserver.podsecurity.pods import (
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

APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip
SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})


def _apparmor(metadata: Object, spec: Object) -> Violation | None:
    who, types = profiles(spec, "appArmorProfile")
    annotations = sorted(
        f"{key}={json.dumps(value)}"
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    shown = [*types, *annotations]
    if not shown:
        return None
    noted = plural("annotation", len(annotations)) if annotations else ""
    text = f"{' and '.join(filter(None, (who, noted)))} must not set AppArmor profile type to {quoted(shown)}"
    return plural("forbidden AppArmor profile", len(shown)), text


def _capabilities(metadata: Object, spec: Object) -> Violation | None:
    detail = added_capabilities(spec, DEFAULT_CAPABILITIES)
    return ("non-default capabilities", detail) if detail else None


def _host_namespaces(metadata: Object, spec: Object) -> Violation | None:
    shared = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return ("host namespaces", ", ".join(shared)) if shared else None


def _host_paths(metadata: Object, spec: Object) -> Violation | None:
    names = [volume["name"] for volume in spec.get("volumes") or [] if volume.get("hostPath") is not None]
    return ("hostPath volumes", f"{plural('volume', len(names))} {quoted(names)}") if names else None


def _host_ports(metadata: Object, spec: Object) -> Violation | None:
    ports = {
        container["name"]: {str(port["hostPort"]) for port in container.get("ports") or [] if port.get("hostPort")}
        for container in containers(spec)
    }
    names = [name for name, used in ports.items() if used]
    if not names:
        return None
    used = sorted(set[str]().union(*ports.values()))
    verb, noun = ("use" if len(names) > 1 else "uses"), plural("hostPort", len(used))
    return "hostPort", f"{these(names)} {verb} {noun} {', '.join(used)}"


def _privileged(metadata: Object, spec: Object) -> Violation | None:
    names = [container["name"] for container in containers(spec) if setting(container, "privileged")]
    return ("privileged", f"{these(names)} must not set securityContext.privileged=true") if names else None


def _proc_mount(metadata: Object, spec: Object) -> Violation | None:
    mounts = {container["name"]: setting(container, "procMount") for container in containers(spec)}
    bad = {name: mount for name, mount in mounts.items() if mount not in (None, "Default")}
    if not bad:
        return None
    values = quoted(sorted(set(bad.values())))
    return "procMount", f"{these(list(bad))} must not set securityContext.procMount to {values}"


def _selinux(metadata: Object, spec: Object) -> Violation | None:
    types: set[str] = set()
    names: set[str] = set()

    def is_bad(holder: Object) -> bool:
        options = setting(holder, "seLinuxOptions") or {}
        wrong_type = {options.get("type", "")} - SELINUX_TYPES
        wrong_names = {name for name in ("user", "role") if options.get(name)}
        types.update(wrong_type)
        names.update(wrong_names)
        return bool(wrong_type or wrong_names)

    who = setters(spec, is_bad)
    if not who:
        return None
    data = [f"{plural('type', len(types))} {quoted(sorted(types))}"] if types else []
    data += [f"{name} may not be set" for name in ("user", "role") if name in names]
    return "seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"


def _seccomp(metadata: Object, spec: Object) -> Violation | None:
    who, types = profiles(spec, "seccompProfile")
    text = f"{who} must not set securityContext.seccompProfile.type to {quoted(types)}"
    return ("seccompProfile", text) if who else None


def _sysctls(metadata: Object, spec: Object) -> Violation | None:
    names = [sysctl["name"] for sysctl in setting(spec, "sysctls") or () if sysctl["name"] not in SAFE_SYSCTLS]
    return ("forbidden sysctls", ", ".join(names)) if names else None


def _windows_host_process(metadata: Object, spec: Object) -> Violation | None:
    who = setters(spec, lambda holder: bool(setting(holder, "windowsOptions", "hostProcess")))
    return ("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true") if who else None


# In the order in which the plugin reports them.
CHECKS: dict[str, Check] = {
    "appArmorProfile": _apparmor,
    "capabilities": _capabilities,
    "hostNamespaces": _host_namespaces,
    "hostPathVolumes": _host_paths,
    "hostPorts": _host_ports,
    "privileged": _privileged,
    "procMount": _proc_mount,
    "seLinuxOptions": _selinux,
    "seccompProfile": _seccomp,
    "sysctls": _sysctls,
    "windowsHostProcess": _windows_host_process,
}
