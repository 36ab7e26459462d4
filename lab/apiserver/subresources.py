"""The subresources that are requests of their own: scale, binding, eviction and tokens of service accounts."""

from __future__ import annotations

import datetime
from typing import Any

from lab.apiserver import bodies, deletion, errors, patching, selectors
from lab.apiserver.registry import Registry, now, timestamp
from lab.apiserver.requests import Request, Target
from lab.apiserver.resources import Resource
from lab.apiserver.responses import Response, json_response
from lab.apiserver.tokens import AUDIENCES, PODS, SECRETS, ServiceAccountTokens

Object = dict[str, Any]

SHORTEST_TOKEN, LONGEST_TOKEN = 600, 1 << 32  # seconds
DEFAULT_TOKEN = 3600
BUDGETS = ("policy", "poddisruptionbudgets")
_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


class Subresources:
    """Answers requests below one object."""

    def __init__(self, registry: Registry, tokens: ServiceAccountTokens) -> None:
        self._registry = registry
        self._tokens = tokens

    def answer(self, request: Request, target: Target) -> Response | None:
        """None when the subresource needs nothing special (status, finalize)."""
        match target.subresource:
            case "scale":
                return self._scale(request, target)
            case "binding":
                return self._bind(request, target, self._body(request, target))
            case "eviction":
                return self._evict(request, target)
            case "token":
                return self._token(request, target)
        return None

    def _body(self, request: Request, target: Target) -> Object:
        spoken = target.resource.subresources.get(target.subresource, target.resource)
        return self._registry.decoder.typed(spoken, bodies.read(request))

    # Scale

    def _scale(self, request: Request, target: Target) -> Response:
        resource, registry = target.resource, self._registry
        obj = registry.get(resource, target.namespace, target.name)
        if target.verb == "get":
            return json_response(_scale_of(resource, obj))
        options = bodies.options(request, target)

        def scaled(live: Object) -> Object:
            if target.verb == "update":
                wanted = self._body(request, target)
            else:
                wanted = patching.patched(registry, resource, request, _scale_of(resource, live))
                wanted = registry.decoder.typed(resource.subresources["scale"], wanted)
            replicas = (wanted.get("spec") or {}).get("replicas", 0)
            if replicas < 0:
                text = f"Invalid value: {replicas}: must be greater than or equal to 0"
                raise errors.invalid("autoscaling", "Scale", target.name, [("spec.replicas", text)])
            version = (wanted.get("metadata") or {}).get("resourceVersion")
            if version not in (None, "", live["metadata"]["resourceVersion"]):
                raise errors.modified(resource, target.name)
            *parents, last = _scale_path(resource, "specReplicasPath")
            place = live
            for step in parents:
                place = place.setdefault(step, {})
            place[last] = replicas
            return live

        changed = registry.update(
            resource, target.namespace, target.name, scaled, options, subresource=target.subresource
        )
        return json_response(_scale_of(resource, changed))

    # Pods

    def bind(self, request: Request, target: Target) -> Response:
        """POST /bindings, where the body names the pod."""
        body = self._body(request, target)
        name = (body.get("metadata") or {}).get("name", "")
        pods = self._registry.resource(*PODS)
        return self._bind(request, Target("create", pods, target.namespace, name, "binding"), body)

    def _bind(self, request: Request, target: Target, body: Object) -> Response:
        node = (body.get("target") or {}).get("name")
        if not node:
            raise errors.invalid("", "Binding", target.name, [("target.name", "Required value")])
        options = bodies.options(request, target)

        def bound(pod: Object) -> Object:
            taken = pod["spec"].get("nodeName")
            if taken:
                message = f'pod {target.name} is already assigned to node "{taken}"'
                raise errors.conflict(target.resource, target.name, message)
            pod["spec"]["nodeName"] = node
            more = (body.get("metadata") or {}).get("annotations")
            if more:
                pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **more}
            return pod

        place = (target.resource, target.namespace, target.name)
        self._registry.update(*place, bound, options, subresource="binding")
        self._registry.update(*place, _scheduled, options, subresource="status")
        return json_response(errors.success(code=201), 201)

    def _evict(self, request: Request, target: Target) -> Response:
        body = self._body(request, target)
        pod = self._registry.get(target.resource, target.namespace, target.name)
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed", "Pending"):
            self._check_budgets(target, pod)
        how = deletion.read_options(body.get("deleteOptions") or {}, request.query)
        options = bodies.options(request, target)
        options.dry_run = options.dry_run or bool((body.get("deleteOptions") or {}).get("dryRun"))
        deletion.delete(self._registry, target.resource, target.namespace, target.name, how, options)
        return json_response(errors.success(code=201), 201)

    def _check_budgets(self, target: Target, pod: Object) -> None:
        labels = pod["metadata"].get("labels") or {}
        budgets = self._registry.list(self._registry.resource(*BUDGETS), target.namespace)
        for budget in budgets:
            selects = selectors.by_object((budget.get("spec") or {}).get("selector"))
            if selects(labels) and (budget.get("status") or {}).get("disruptionsAllowed", 0) <= 0:
                message = "Cannot evict pod as it would violate the pod's disruption budget."
                name = budget["metadata"]["name"]
                cause = f"The disruption budget {name} needs {_needed(budget)} healthy pods and has {_healthy(budget)} "
                cause += "currently"
                raise errors.too_many_requests(message, causes=[{"reason": "DisruptionBudget", "message": cause}])

    # Tokens

    def _token(self, request: Request, target: Target) -> Response:
        registry = self._registry
        account = registry.get(target.resource, target.namespace, target.name)
        body = self._body(request, target)
        spec = body.get("spec") or {}
        seconds = spec.get("expirationSeconds") or DEFAULT_TOKEN
        causes = []
        if seconds < SHORTEST_TOKEN:
            text = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
            causes.append(("spec.expirationSeconds", text))
        if seconds > LONGEST_TOKEN:
            text = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
            causes.append(("spec.expirationSeconds", text))
        if causes:
            raise errors.invalid("authentication.k8s.io", "TokenRequest", "", causes)
        bound = self._bound(target, spec.get("boundObjectRef"))
        audiences = list(spec.get("audiences") or AUDIENCES[:1])
        token, end = self._tokens.sign(account, seconds, audiences, bound)
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": target.name, "namespace": target.namespace, "creationTimestamp": now()},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {
                "token": token,
                "expirationTimestamp": timestamp(datetime.datetime.fromtimestamp(end, datetime.UTC)),
            },
        }
        return json_response(answer, 201)

    def _bound(self, target: Target, reference: Object | None) -> Object | None:
        """The pod or Secret that a token is to end with."""
        if not reference:
            return None
        kinds = {"Pod": PODS, "Secret": SECRETS}
        if reference.get("kind") not in kinds:
            kind = f"{reference.get('apiVersion', '')}, Kind={reference.get('kind', '')}"
            raise errors.bad_request(f"cannot bind token for serviceaccount to object of type {kind}")
        resource = self._registry.resource(*kinds[reference["kind"]])
        found = self._registry.get(resource, target.namespace, reference.get("name", ""))
        uid = found["metadata"]["uid"]
        if reference.get("uid") not in (None, "", uid):
            message = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            message += "The object might have been deleted and then recreated"
            raise errors.conflict(resource, reference["name"], message)
        own = (found.get("spec") or {}).get("serviceAccountName")
        if reference["kind"] == "Pod" and own != target.name:
            message = f'cannot bind token for serviceaccount "{target.name}" to pod running with different '
            raise errors.bad_request(message + "serviceaccount name.")
        return found


def _scheduled(pod: Object) -> Object:
    status = pod.setdefault("status", {})
    others = [item for item in status.get("conditions") or [] if item["type"] != "PodScheduled"]
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now()}
    status["conditions"] = [*others, condition]
    return pod


def _needed(budget: Object) -> int:
    found: int = (budget.get("status") or {}).get("desiredHealthy", 0)
    return found


def _healthy(budget: Object) -> int:
    found: int = (budget.get("status") or {}).get("currentHealthy", 0)
    return found


def _scale_path(resource: Resource, which: str) -> list[str]:
    declared = ((resource.custom or {}).get("subresources") or {}).get("scale") or _SCALE
    return [step for step in declared.get(which, "").split(".") if step]


def _scale_of(resource: Resource, obj: Object) -> Object:
    """The Scale that shows an object's replicas."""

    def at(which: str) -> Any:
        path = _scale_path(resource, which)
        found: Any = obj if path else None
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        return found

    own = obj["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = at("labelSelectorPath") if resource.custom else _selector_text(obj["spec"].get("selector") or {})
    status = {"replicas": at("statusReplicasPath") or 0, **({"selector": selector} if selector else {})}
    replicas = at("specReplicasPath")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: own[name] for name in names if name in own},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _selector_text(selector: Object) -> str:
    """A LabelSelector, or the plain map of a ReplicationController, as one text."""
    plain = "matchLabels" not in selector and "matchExpressions" not in selector
    labels = selector if plain else selector.get("matchLabels") or {}
    terms = [f"{key}={value}" for key, value in sorted(labels.items())]
    for item in [] if plain else selector.get("matchExpressions") or []:
        values = ",".join(sorted(item.get("values") or []))
        match item["operator"]:
            case "In" | "NotIn":
                terms.append(f"{item['key']} {item['operator'].lower()} ({values})")
            case "Exists":
                terms.append(item["key"])
            case "DoesNotExist":
                terms.append("!" + item["key"])
    return ",".join(terms)
