"""Write resources.json, the table of built-in resources, from the paths in the installed Kubernetes Python client.

Run once for each Kubernetes version: ``python lab/apiserver/data/generate_resources.py``. Only versions that a real
server serves by default (v1, v2) are taken, and only the subresources that this server answers.
"""

import json
import re
from pathlib import Path
from typing import Any

import kubernetes.client

CALL = re.compile(r"call_api\(\s*'(/apis?/[^']+)', '([A-Z]+)',(?:(?!call_api).)*?response_type='(\w+)'", re.S)
MODULE = re.compile(r"_v\d+_api\.py$")
KIND = re.compile(r"^(?:[A-Z][a-z]+)?V\d+(.+)$")

VERBS = {
    ("collection", "POST"): ["create"],
    ("collection", "GET"): ["list", "watch"],
    ("collection", "DELETE"): ["deletecollection"],
    ("item", "GET"): ["get"],
    ("item", "PUT"): ["update"],
    ("item", "PATCH"): ["patch"],
    ("item", "DELETE"): ["delete"],
    ("item", "POST"): ["create"],
}
# Subresource -> (group, version, kind) of what it speaks; None: the kind of its resource.
SUBRESOURCES = {
    "status": None,
    "finalize": None,
    "log": None,
    "scale": ("autoscaling", "v1", "Scale"),
    "binding": ("", "v1", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
    "exec": ("", "v1", "PodExecOptions"),
    "attach": ("", "v1", "PodAttachOptions"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}
SHORT_NAMES = {
    "certificatesigningrequests": "csr", "configmaps": "cm", "controllerrevisions": "", "cronjobs": "cj",
    "customresourcedefinitions": "crd crds", "daemonsets": "ds", "deployments": "deploy", "endpoints": "ep",
    "events": "ev", "horizontalpodautoscalers": "hpa", "ingresses": "ing", "limitranges": "limits", "namespaces": "ns",
    "networkpolicies": "netpol", "nodes": "no", "persistentvolumeclaims": "pvc", "persistentvolumes": "pv",
    "poddisruptionbudgets": "pdb", "pods": "po", "priorityclasses": "pc", "replicasets": "rs",
    "replicationcontrollers": "rc", "resourcequotas": "quota", "serviceaccounts": "sa", "services": "svc",
    "statefulsets": "sts", "storageclasses": "sc",
}  # fmt: skip
CATEGORIES = {
    plural: ["all"]
    for plural in (
        "pods", "services", "replicationcontrollers", "deployments", "replicasets", "statefulsets", "daemonsets",
        "jobs", "cronjobs", "horizontalpodautoscalers",
    )
}  # fmt: skip
CATEGORIES |= {
    plural: ["api-extensions"]
    for plural in (
        "customresourcedefinitions", "mutatingwebhookconfigurations", "validatingwebhookconfigurations",
        "validatingadmissionpolicies", "validatingadmissionpolicybindings",
    )
}  # fmt: skip
# Left out: objects that this server would answer wrongly (see the package's docstring).
LEFT_OUT = {
    ("", "componentstatuses"),
    ("autoscaling/v1", "horizontalpodautoscalers"),
    ("apiregistration.k8s.io/v1", "apiservices"),
    ("events.k8s.io/v1", "events"),
}


def calls() -> list[tuple[str, str, str]]:
    """Every (path, method, response type) of the client's stable API groups."""
    folder = Path(kubernetes.client.__file__).parent / "api"
    files = sorted(path for path in folder.glob("*_api.py") if MODULE.search(path.name))
    return [match for path in files for match in CALL.findall(path.read_text())]


def table() -> list[dict[str, Any]]:
    """One row a resource, as resources.json holds it."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for path, method, response in calls():
        parts = path.strip("/").split("/")
        group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        if not rest or rest[0] == "watch":
            continue
        namespaced = rest[:2] == ["namespaces", "{namespace}"] and len(rest) > 2
        plural, *rest = rest[2:] if namespaced else rest
        if (f"{group}/{version}" if group else "", plural) in LEFT_OUT:
            continue
        row = rows.setdefault(
            (group, version, plural),
            {
                "group": group,
                "version": version,
                "plural": plural,
                "kind": "",
                "namespaced": False,
                "verbs": [],
                "shortNames": SHORT_NAMES.get(plural, "").split(),
                "categories": CATEGORIES.get(plural, []),
                "subresources": {},
            },
        )
        row["namespaced"] |= namespaced
        kind = KIND.match(response)
        if len(rest) < 2:
            place = "item" if rest else "collection"
            row["verbs"] = sorted({*row["verbs"], *VERBS[place, method]})
            if kind and (place, method) in (("collection", "POST"), ("item", "GET"), ("item", "PUT")):
                row["kind"] = kind[1]
        elif len(rest) == 2 and rest[1] in SUBRESOURCES and method != "DELETE":
            sub = row["subresources"].setdefault(rest[1], {"kind": SUBRESOURCES[rest[1]], "verbs": []})
            sub["verbs"] = sorted({*sub["verbs"], *VERBS["item", method]})
    return [rows[key] for key in sorted(rows) if rows[key]["kind"]]


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(row) for row in table())
    (Path(__file__).parent / "resources.json").write_text(f"[\n{lines}\n]\n")
