"""What the server allots to Services: cluster addresses and node ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lab.apiserver import errors

if TYPE_CHECKING:
    from lab.apiserver.registry import Registry

Object = dict[str, Any]

ADDRESSES = ipaddress.ip_network("10.43.0.0/16")  # K3s' --service-cidr
NODE_PORTS = range(30000, 32768)
SERVICES = ("", "services")


def prepare(old: Object | None, new: Object, registry: Registry) -> None:
    """Fill in clusterIP(s), address families and node ports, and keep those that the service has."""
    spec = new.setdefault("spec", {})
    if old is None:
        new["status"] = {"loadBalancer": {}}
    if spec.get("type") == "ExternalName":
        return
    resource = registry.resource(*SERVICES)
    others = [item for item in registry.list(resource) if item["metadata"]["uid"] != new["metadata"]["uid"]]
    before = (old or {}).get("spec") or {}
    address = spec.get("clusterIP") or before.get("clusterIP") or _free_address(others)
    if address != "None" and address in {item["spec"].get("clusterIP") for item in others}:
        text = f'Invalid value: "{address}": failed to allocate IP {address}: provided IP is already allocated'
        raise errors.invalid("", "Service", new["metadata"]["name"], [("spec.clusterIPs", text)])
    spec["clusterIP"], spec["clusterIPs"] = address, [address]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
        _allot_ports(spec, before, others, new["metadata"]["name"])
    if spec.get("type") == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _free_address(others: Iterable[Object]) -> str:
    taken = {item["spec"].get("clusterIP") for item in others}
    # The first address is the API server's own.
    return next(str(address) for address in list(ADDRESSES.hosts())[1:] if str(address) not in taken)


def _allot_ports(spec: Object, before: Object, others: Iterable[Object], name: str) -> None:
    taken = {port.get("nodePort") for item in others for port in item["spec"].get("ports") or []}
    kept = {port.get("port"): port.get("nodePort") for port in before.get("ports") or []}
    free = (port for port in NODE_PORTS if port not in taken)
    for index, port in enumerate(spec.get("ports") or []):
        wanted = port.get("nodePort")
        if wanted and wanted in taken:
            text = f"Invalid value: {wanted}: provided port is already allocated"
            raise errors.invalid("", "Service", name, [(f"spec.ports[{index}].nodePort", text)])
        port["nodePort"] = wanted or kept.get(port.get("port")) or next(free)
        taken.add(port["nodePort"])
