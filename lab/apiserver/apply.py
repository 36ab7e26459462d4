"""Server-side apply, and the field ownership that every other write leaves behind.

Behaviour: sigs.k8s.io/structured-merge-diff/merge, k8s.io/apimachinery/pkg/util/managedfields and
https://kubernetes.io/docs/reference/using-api/server-side-apply/. One simplification: objects are never converted
between versions, so the fields of all managers are compared by their paths as they are.

What a request may not write (``status`` on the main endpoint of a resource with a status subresource, everything else
on ``/status``) has to be taken out of ``applied``, or put back into ``new``, before these functions are called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lab.apiserver import merging
from lab.apiserver.defaults import apply_defaults
from lab.apiserver.fields import Comparison, FieldSet, Path, compare, field_set, text
from lab.apiserver.managed import Managed, Manager, Share, capped, decode, encode
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]

KUBECTL = "kubectl"
BEFORE_FIRST_APPLY = "before-first-apply"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Fields that belong to the server and are never owned; a path stands for itself alone, not for what is below it.
UNOWNED: FieldSet = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields",
            "selfLink", "clusterName",
        )
    }
)  # fmt: skip


class ApplyError(ValueError):
    """What was applied is no configuration of this kind (duplicate keys, undeclared fields, managedFields set)."""


class Conflicts(Exception):
    """Other managers own fields that this apply would change.

    ``causes`` are the causes of the 409 (reason, message, field); the exception's text is its message.
    """

    def __init__(self, conflicts: Iterable[tuple[Manager, Path]]) -> None:
        self.conflicts = sorted(conflicts, key=lambda conflict: (str(conflict[0]), conflict[1]))
        self.causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": text(path)}
            for owner, path in self.conflicts
        ]
        super().__init__(self._message())

    def _message(self) -> str:
        if len(self.causes) == 1:
            return f"Apply failed with 1 conflict: {self.causes[0]['message']}: {self.causes[0]['field']}"
        lines: dict[Manager, list[str]] = {}
        for owner, path in self.conflicts:
            lines.setdefault(owner, [f"conflicts with {owner}:"]).append(f"- {text(path)}")
        said = "\n".join("\n".join(of_one) for of_one in lines.values())
        return f"Apply failed with {len(self.causes)} conflicts: {said}"


def own_update(
    schemas: Schemas,
    schema: Schema | None,
    old: Object | None,
    new: Object,
    *,
    manager: str,
    api_version: str,
    subresource: str,
    now: str,
) -> list[Object]:
    """The managedFields of ``new`` after a create (``old`` is None), an update or a patch that is no apply.

    What changed belongs to the writer and to nobody else. A client may write managedFields itself on the main endpoint;
    an empty list there forgets all owners until somebody applies.
    """
    managed = _given(old, new, subresource)
    if not managed and old is not None:
        return []
    changed = compare(schemas, schema, _plain(old), _plain(new))
    managed = {owner: replace(share, fields=share.fields - _touched(changed)) for owner, share in managed.items()}
    own = frozenset(changed.modified | changed.added) - UNOWNED
    if own:
        writer = Manager.of(manager, "Update", api_version, subresource)
        before = managed[writer].fields if writer in managed else frozenset()
        managed[writer] = Share(own | before, api_version, now)
    return encode(capped({owner: share for owner, share in managed.items() if share.fields}))


def server_side_apply(
    schemas: Schemas,
    schema: Schema | None,
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    api_version: str,
    subresource: str,
    force: bool,
    now: str,
) -> Object:
    """The object, defaults filled in, after ``manager`` has applied its configuration, with its managedFields.

    A field that the manager applied before and leaves out now is removed unless somebody else owns it. Raises Conflicts
    when a field owned by another would change and ``force`` is not set, ApplyError when ``applied`` cannot be read.
    """
    _check(schemas, schema, applied, api_version)
    managed = _managed(schemas, schema, live, api_version, subresource, now)
    applier = Manager.of(manager, "Apply", api_version, subresource)
    before = managed.get(applier)
    managed[applier] = Share(field_set(schemas, schema, applied), api_version, now)

    current = _plain(live)
    new: Object = merging.merge(schemas, schema, current, applied)
    if before:
        claimed = frozenset[Path]().union(*(share.fields for share in managed.values()))
        new = merging.prune(schemas, schema, new, claimed, before.fields)
    apply_defaults(schemas, schema, new)  # so that what a default puts back does not count as a change
    changed = compare(schemas, schema, current, new)
    others = {owner: share for owner, share in managed.items() if owner != applier}
    conflicts = [
        (owner, path) for owner, share in others.items() for path in share.fields & (changed.modified | changed.added)
    ]
    if conflicts and not force:
        allowed = _handed_over(schemas, schema, live, api_version) if manager == KUBECTL else frozenset()
        conflicts = [(owner, path) for owner, path in conflicts if path not in allowed]
        if conflicts:
            raise Conflicts(conflicts)

    touched = _touched(changed)
    own = Share(managed[applier].fields - UNOWNED, api_version, now)
    if before and not touched and (before.fields, before.api_version) == (own.fields, own.api_version):
        own = before
    shares = {owner: replace(share, fields=share.fields - touched) for owner, share in others.items()} | {applier: own}
    new["metadata"] = {**new.get("metadata", {}), "managedFields": encode(shares)}
    if manager == KUBECTL:
        _keep_last_applied(new, applied)
    return new


def _plain(obj: Object | None) -> Object:
    """An object without its managedFields, which nobody owns."""
    if obj is None:
        return {}
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _touched(changed: Comparison) -> FieldSet:
    return frozenset(changed.modified | changed.added | changed.removed)


def _given(old: Object | None, new: Object, subresource: str) -> Managed:
    """The owners before an update: those that the request names, or else those of the stored object."""
    named = (new.get("metadata") or {}).get("managedFields")
    if named is not None and not subresource:
        if named in ([], [{}]):
            return {}
        managed = _readable(named)
        if managed:
            return managed
    return _readable((old or {}).get("metadata", {}).get("managedFields") or [])


def _readable(entries: list[Object]) -> Managed:
    """Unreadable managedFields count as none, as on a real server: they must never block a write."""
    try:
        return decode(entries)
    except ValueError:
        return {}


def _managed(
    schemas: Schemas, schema: Schema | None, live: Object | None, api_version: str, subresource: str, now: str
) -> Managed:
    """The owners before an apply. What nobody was noted for belongs to a manager "before-first-apply"."""
    if live is None:
        return {}
    managed = decode(live["metadata"].get("managedFields") or [])
    if not managed:
        everything = frozenset(compare(schemas, schema, {}, _plain(live)).added) - UNOWNED
        managed[Manager.of(BEFORE_FIRST_APPLY, "Update", api_version, subresource)] = Share(
            everything, api_version, now
        )
    return managed


def _check(schemas: Schemas, schema: Schema | None, applied: Object, api_version: str) -> None:
    if applied.get("apiVersion") != api_version:
        found = applied.get("apiVersion", "")
        raise ApplyError(
            f"Incorrect version specified in apply patch. Specified patch version: {found}, expected: {api_version}"
        )
    metadata = applied.get("metadata") or {}
    if metadata.get("managedFields") is not None:
        raise ApplyError("metadata.managedFields must be nil")
    errors = list(merging.errors(schemas, schema, applied))
    if errors:
        subject = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {api_version}, Kind={applied['kind']}"
        said = errors[0] if len(errors) == 1 else "\n  ".join(["errors:", *errors])
        raise ApplyError(f"failed to create typed patch object ({subject}): {said}")


# ---- kubectl apply, before and after --server-side


def _handed_over(schemas: Schemas, schema: Schema | None, live: Object | None, api_version: str) -> FieldSet:
    """Fields that ``kubectl apply`` set on the client's side and that are still so: --server-side may take them."""
    annotation = _plain(live)["metadata"].get("annotations", {}).get(LAST_APPLIED)
    try:
        last = json.loads(annotation or "null")
    except json.JSONDecodeError:
        return frozenset()
    if not isinstance(last, dict) or last.get("apiVersion") != api_version:
        return frozenset()
    return field_set(schemas, schema, last) - _touched(compare(schemas, schema, last, _plain(live)))


def _keep_last_applied(new: Object, applied: Object) -> None:
    """Where ``kubectl apply`` left its annotation, --server-side keeps it up to date for those who still go without."""
    annotations = new["metadata"].get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return
    bare = _plain(applied)
    others = {key: value for key, value in bare["metadata"].get("annotations", {}).items() if key != LAST_APPLIED}
    bare["metadata"] |= {"annotations": others} if others else {}
    text_of = json.dumps(bare, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    new["metadata"]["annotations"] = {**annotations, LAST_APPLIED: text_of + "\n"}
