"""Who shows certificates in the cluster, as its API tells it: ingresses and webhooks; and what cert-manager issued.

Secrets are not read: whoever may list them has all of them, and a handshake shows what clients really get.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra_ops.models.certificates import Issued, Site, Unseen

if TYPE_CHECKING:
    from infra_ops.clients.kubernetes import Cluster

HTTPS = 443
HOOKS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
Found = dict[str, Site | Unseen]


def ingresses(cluster: Cluster) -> Found:
    """Each host that an ingress serves in TLS, by `ingress <host>`. Raises ClusterError."""
    return dict(_of_ingresses(cluster.list("/apis/networking.k8s.io/v1/ingresses")))


def webhooks(cluster: Cluster) -> Found:
    """Each server that the API server asks before it admits something, by `webhook <its name>`. Raises ClusterError.

    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#contacting-the-webhook
    """
    found: Found = {}
    for plural in HOOKS:
        for item in cluster.list(f"/apis/admissionregistration.k8s.io/v1/{plural}"):
            for hook in item.get("webhooks", []):
                subject, site = _of_hook(cluster, hook["clientConfig"])
                found.setdefault(subject, site)
    return found


def issued(cluster: Cluster) -> list[Issued]:
    """What cert-manager was asked for; nothing where it is not installed. Raises ClusterError."""
    if not any(group["name"] == "cert-manager.io" for group in cluster.get("/apis")["groups"]):
        return []
    return [_of_certificate(item) for item in cluster.list("/apis/cert-manager.io/v1/certificates")]


def _of_ingresses(items: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Site]]:
    for item in items:
        rules = [rule["host"] for rule in item["spec"].get("rules", []) if rule.get("host")]
        hosts = {host for block in item["spec"].get("tls", []) for host in block.get("hosts") or rules}
        address, port = _published(item)
        for host in sorted(hosts):
            name = host.replace("*", "any", 1)
            yield f"ingress {host}", Site(f"ingress {host}", address or name, port, name)


def _published(item: dict[str, Any]) -> tuple[str, int]:
    """Where its controller says that it listens; without a word the name's own address is asked for."""
    places = item.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    ports = [entry["port"] for entry in places[0].get("ports", [])]
    return places[0].get("ip") or places[0].get("hostname") or "", HTTPS if HTTPS in ports or not ports else ports[0]


def _of_hook(cluster: Cluster, config: dict[str, Any]) -> tuple[str, Site | Unseen]:
    try:
        authorities = base64.b64decode(config.get("caBundle") or "", validate=True).decode()
    except (binascii.Error, ValueError):
        authorities = ""
    if "url" in config:
        parts = urlsplit(config["url"])
        host = parts.hostname or ""
        subject = f"webhook {host}"
        return subject, Site(subject, host, parts.port or HTTPS, host, authorities)
    service = config["service"]
    name = f"{service['name']}.{service['namespace']}.svc"
    subject, port = f"webhook {name}", int(service.get("port", HTTPS))
    place = _behind(cluster, service["namespace"], service["name"], port)
    return subject, place if isinstance(place, Unseen) else Site(subject, *place, name, authorities)


def _behind(cluster: Cluster, namespace: str, name: str, port: int) -> tuple[str, int] | Unseen:
    """Address and port of a pod behind a service: those who are not in the cluster's network have no other way.

    Lists, because an object that is not there is an answer here and no error.
    """
    only = {"fieldSelector": f"metadata.name={name}"}
    service = next(cluster.list(f"/api/v1/namespaces/{namespace}/services", **only), None)
    entry = next((each for each in (service or {"spec": {}})["spec"].get("ports", []) if each["port"] == port), None)
    if entry is None:
        return Unseen(f"there is no service {namespace}/{name} with a port {port}")
    endpoints = next(cluster.list(f"/api/v1/namespaces/{namespace}/endpoints", **only), None)
    for subset in (endpoints or {}).get("subsets") or []:
        ports = [each["port"] for each in subset.get("ports", []) if each.get("name", "") == entry.get("name", "")]
        if ports and subset.get("addresses"):
            return subset["addresses"][0]["ip"], ports[0]
    return Unseen(f"no pod is ready behind the service {namespace}/{name}")


def _of_certificate(item: dict[str, Any]) -> Issued:
    status = item.get("status", {})
    ready: dict[str, str] = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), {})
    return Issued(
        f"Certificate {item['metadata']['namespace']}/{item['metadata']['name']}",
        datetime.fromisoformat(status["notAfter"]) if "notAfter" in status else None,
        "" if ready.get("status") == "True" else ready.get("message", "cert-manager has not looked at it yet"),
    )
