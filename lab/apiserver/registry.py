"""The life of objects: reading, creating and updating them under the rules that hold for every kind."""

from __future__ import annotations

import builtins
import copy
import datetime
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from lab.apiserver import apply, errors, immutability, kinds, metadata
from lab.apiserver.decoding import Decoder, Options
from lab.apiserver.errors import ApiError
from lab.apiserver.resources import Resource, Resources
from lab.apiserver.schemas import Schemas
from lab.apiserver.storage import Entry, Store, Unreadable

Object = dict[str, Any]
Change = Callable[[Object], Object]

NAMESPACES = ("", "namespaces")
# What the server sets and no client changes.
_SYSTEM_METADATA = (
    "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
)  # fmt: skip


class Admission(Protocol):
    """What else has a say in a write: it may change the object, and may refuse it by ApiError."""

    def mutate(self, resource: Resource, old: Object | None, new: Object, options: Options) -> None: ...

    def validate(self, resource: Resource, old: Object | None, new: Object, options: Options) -> None: ...


class Registry:
    """All stored objects, by resource, namespace and name. Objects that it returns are shared: copy before a change."""

    def __init__(self, store: Store, resources: Resources, schemas: Schemas) -> None:
        self.store = store
        self.resources = resources
        self.schemas = schemas
        self.decoder = Decoder(schemas)
        self.admission: Admission | None = None

    # Reading

    def resource(self, group: str, plural: str) -> Resource:
        """The preferred version of a resource that is known to exist."""
        return self.resources.versions(group, plural)[0]

    def entry(self, resource: Resource, namespace: str, name: str) -> Entry | None:
        try:
            return self.store.get(resource.key(namespace, name))
        except Unreadable as error:
            raise errors.internal(str(error)) from None

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        entry = self.entry(resource, namespace, name)
        return view(entry, resource) if entry else None

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Raises ApiError 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise errors.not_found(resource, name)
        return found

    def list(self, resource: Resource, namespace: str = "") -> list[Object]:
        try:
            entries = self.store.scan(resource.key(namespace, ""))
        except Unreadable as error:
            raise errors.internal(str(error)) from None
        return [view(entry, resource) for entry in entries]

    # Creating

    def create(
        self,
        resource: Resource,
        namespace: str,
        body: Object,
        options: Options | None = None,
        *,
        applied: bool = False,
    ) -> Object:
        """Store a new object and return it. ``applied``: it comes from a server-side apply, with its managedFields.

        Raises ApiError: 400 for a body that is not this kind, 403 by admission, 404 for a missing namespace, 409 if
        the name is taken, 422 for an invalid object.
        """
        options = options or Options()
        new = self.decoder.envelope(resource, body)
        given: Object = new["metadata"]
        self._place(resource, namespace, given)
        self.decoder.fields(resource, new, options)
        version = given.get("resourceVersion")
        for name in ("uid", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            given.pop(name, None)
        if not given.get("name") and given.get("generateName"):
            given["name"] = metadata.generate_name(given["generateName"])
        if not given.get("name"):
            cause = ("metadata.name", "Required value: name or generateName is required")
            raise errors.invalid(resource.group, resource.kind, "", [cause])
        self._lifecycle(resource, namespace, given["name"])
        given |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if resource.counts_generations:
            given["generation"] = 1
        if resource.has_status:
            new.pop("status", None)
        self.decoder.defaults(resource, new)
        if not applied:
            given["managedFields"] = self._owned(resource, None, new, options, "")
        kinds.prepare(resource, None, new, self)
        self._admit(resource, None, new, options)
        if version not in (None, "", "0"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if self.entry(resource, namespace, given["name"]):
            raise errors.already_exists(resource, given["name"])
        if options.dry_run:
            return new
        return view(self.save(resource, new), resource)

    def _place(self, resource: Resource, namespace: str, given: Object) -> None:
        if not resource.namespaced:
            given.pop("namespace", None)
            return
        if given.get("namespace") not in (None, "", namespace):
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        given["namespace"] = namespace

    def _lifecycle(self, resource: Resource, namespace: str, name: str) -> None:
        """Nothing is created in a namespace that is missing or going away."""
        if not namespace:
            return
        found = self.get(self.resource(*NAMESPACES), "", namespace)
        if found["metadata"].get("deletionTimestamp"):
            raise errors.terminating(resource, name, namespace)

    # Updating

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Change,
        options: Options | None = None,
        *,
        subresource: str = "",
        applied: bool = False,
    ) -> Object:
        """Let ``change`` make the new object from a copy of the present one, store it and return it.

        A change that changes nothing keeps the resourceVersion. The last finalizer's removal ends an object that is
        being deleted. Raises ApiError as ``create``; 409 when the new object carries another resourceVersion or uid.
        """
        options = options or Options()
        entry = self.entry(resource, namespace, name)
        if entry is None:
            raise errors.not_found(resource, name)
        old = view(entry, resource)
        new = self.decoder.envelope(resource, change(copy.deepcopy(old)))
        self._preconditions(resource, old, new, subresource)
        self._place(resource, namespace, new["metadata"])
        self.decoder.fields(resource, new, options)
        new = self._keep(resource, old, new, subresource)
        self.decoder.defaults(resource, new)
        if not applied:
            new["metadata"]["managedFields"] = self._owned(resource, old, new, options, subresource)
        kinds.prepare(resource, old, new, self)
        if resource.counts_generations and subresource != "status" and _content(old) != _content(new):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        self._admit(resource, old, new, options)
        if _comparable(old) == _comparable(new) and not entry.stale:
            return old
        if options.dry_run:
            return {**new, "metadata": {**new["metadata"], "resourceVersion": str(entry.revision)}}
        if self.ends(resource, new):
            return view(self.store.delete(entry.key), resource)
        return view(self.save(resource, new), resource)

    def ends(self, resource: Resource, obj: Object) -> bool:
        """Is nothing left to wait for before an object that is being deleted goes?"""
        own = obj["metadata"]
        if not own.get("deletionTimestamp") or own.get("finalizers") or own.get("deletionGracePeriodSeconds"):
            return False
        return not (resource.id == NAMESPACES and (obj.get("spec") or {}).get("finalizers"))

    def _preconditions(self, resource: Resource, old: Object, new: Object, subresource: str) -> None:
        own, given = old["metadata"], new["metadata"]
        name = own["name"]
        if given.get("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({given['name']}) does not match the name on the URL ({name})"
            )
        given["name"] = name
        if given.get("uid") not in (None, "", own["uid"]):
            message = f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {own['uid']}"
            raise errors.conflict(resource, name, message)
        version = given.get("resourceVersion") or ""
        if version in ("", "0"):
            if resource.needs_resource_version and not subresource:
                cause = ("metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update")
                raise errors.invalid(resource.group, resource.kind, name, [cause])
        elif version != own["resourceVersion"]:
            raise errors.modified(resource, name)

    def _keep(self, resource: Resource, old: Object, new: Object, subresource: str) -> Object:
        """``new`` with everything that this write may not touch as it was in ``old``."""
        own, given = old["metadata"], new["metadata"]
        if given.get("creationTimestamp") not in (None, own["creationTimestamp"]):
            cause = ("metadata.creationTimestamp", f'Invalid value: "{given["creationTimestamp"]}": field is immutable')
            raise errors.invalid(resource.group, resource.kind, own["name"], [cause])
        added = set(given.get("finalizers") or []) - set(own.get("finalizers") or [])
        if added and own.get("deletionTimestamp"):
            names = " ".join(f'"{name}"' for name in sorted(added))
            cause = (
                "metadata.finalizers",
                "Forbidden: no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{names}}}",
            )
            raise errors.invalid(resource.group, resource.kind, own["name"], [cause])
        if subresource == "status":
            kept = {**own, "managedFields": given.get("managedFields") or []}
            return {**copy.deepcopy({**old, "metadata": kept}), "status": new.get("status") or {}}
        if subresource == "finalize":
            finalizers = (new.get("spec") or {}).get("finalizers")
            return {**copy.deepcopy(old), "spec": {**(old.get("spec") or {}), "finalizers": finalizers}}
        for name in _SYSTEM_METADATA:
            if name in own:
                given[name] = own[name]
            else:
                given.pop(name, None)
        if resource.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = copy.deepcopy(old["status"])
        return new

    # What creating and updating share

    def _admit(self, resource: Resource, old: Object | None, new: Object, options: Options) -> None:
        if self.admission:
            self.admission.mutate(resource, old, new, options)
        causes = metadata.check(resource, new) + self.decoder.check(resource, new) + kinds.check(resource, old, new)
        if old is not None:
            causes += immutability.forbidden_changes(resource.plural, old, new)
        if causes:
            raise errors.invalid(resource.group, resource.kind, new["metadata"].get("name", ""), causes)
        if self.admission:
            self.admission.validate(resource, old, new, options)

    def _owned(
        self, resource: Resource, old: Object | None, new: Object, options: Options, subresource: str
    ) -> builtins.list[Object]:
        return apply.own_update(
            self.schemas,
            self.decoder.schema(resource),
            old,
            new,
            manager=options.manager,
            api_version=resource.api_version,
            subresource=subresource,
            now=now(),
        )

    def save(self, resource: Resource, obj: Object) -> Entry:
        """Write ``obj`` as it is, in the version that its resource is stored in."""
        own = obj["metadata"]
        head = {"kind": resource.kind, "apiVersion": resource.storage_api_version, "metadata": own}
        rest = {key: value for key, value in obj.items() if key not in head}
        return self.store.put(resource.key(own.get("namespace", ""), own["name"]), head | rest)


def view(entry: Entry, resource: Resource) -> Object:
    """A stored object as ``resource``'s version shows it. Only the version's name differs between versions.

    Raises ApiError 500 when the definition asks for a conversion webhook.
    """
    value = entry.value
    if value["apiVersion"] == resource.api_version:
        return value
    if resource.converts_by_webhook:
        raise errors.internal(
            f"conversion webhook for {value['apiVersion']}, Kind={resource.kind} failed: this server calls no webhooks"
        )
    return {**value, "apiVersion": resource.api_version}


def now() -> str:
    return timestamp(datetime.datetime.now(datetime.UTC))


def timestamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _content(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}


def _comparable(obj: Object) -> Object:
    """An object without what alone does not make a write worthwhile: its version, and when its owners last wrote."""
    own = {key: value for key, value in obj["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    owners = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in obj["metadata"].get("managedFields") or []
    ]
    return {**obj, "metadata": {**own, "managedFields": owners}}
