"""Server-side apply: who owns what, who may change what, and what goes when nobody wants it any more."""

import copy
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.apiserver.apply import LAST_APPLIED, ApplyError, Conflicts, own_update, server_side_apply
from lab.apiserver.fields import from_fields_v1, text
from lab.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]
T1, T2, T3 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "2026-01-01T00:00:03Z"


class Cluster:
    """One object and the writes upon it, without a server."""

    def __init__(self, schemas: Schemas, schema_of: Callable[[Object], Schema | None]) -> None:
        self._schemas, self._schema_of = schemas, schema_of
        self.live: Object | None = None

    def apply(self, obj: Object, manager: str, *, force: bool = False, now: str = T1, subresource: str = "") -> Object:
        self.live = server_side_apply(
            self._schemas,
            self._schema_of(obj),
            self.live,
            copy.deepcopy(obj),
            manager=manager,
            api_version=obj["apiVersion"],
            subresource=subresource,
            force=force,
            now=now,
        )
        return self.live

    def write(self, obj: Object, manager: str, *, now: str = T1, subresource: str = "") -> Object:
        """A create, update or patch that ends in ``obj``."""
        new = copy.deepcopy(obj)
        entries = own_update(
            self._schemas,
            self._schema_of(obj),
            self.live,
            new,
            manager=manager,
            api_version=obj["apiVersion"],
            subresource=subresource,
            now=now,
        )
        new["metadata"]["managedFields"] = entries
        self.live = new
        return new

    def edit(self, change: Callable[[Object], object], manager: str, *, now: str = T1, subresource: str = "") -> Object:
        new = copy.deepcopy(self.live)
        assert new is not None
        change(new)
        return self.write(new, manager, now=now, subresource=subresource)

    def owned(self, manager: str, operation: str = "Apply", subresource: str = "") -> set[str]:
        wanted = (manager, operation, subresource)
        for entry in (self.live or {})["metadata"]["managedFields"]:
            if (entry["manager"], entry["operation"], entry.get("subresource", "")) == wanted:
                return {text(path) for path in from_fields_v1(entry["fieldsV1"])}
        return set()

    def time(self, manager: str) -> str:
        return next(e["time"] for e in (self.live or {})["metadata"]["managedFields"] if e["manager"] == manager)


@pytest.fixture
def cluster(schemas: Schemas, schema_of: Callable[[Object], Schema | None]) -> Cluster:
    return Cluster(schemas, schema_of)


def deployment(**spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": spec,
    }


def widget(**spec: Any) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


def pods(*containers: Object) -> Object:
    return {"spec": {"containers": list(containers)}}


# ---- ownership


def test_an_applier_owns_exactly_what_it_sent(cluster: Cluster) -> None:
    """Not the defaults that the server adds, not the names that identify the object."""
    applied = cluster.apply(widget(size=1, labels={"a": "1"}), "one")
    assert applied["spec"]["color"] == "red"
    assert cluster.owned("one") == {".spec.size", ".spec.labels.a"}


def test_a_writer_owns_what_it_wrote_with_the_containers_that_it_made(cluster: Cluster) -> None:
    cluster.write(widget(size=1, labels={"a": "1"}), "kubectl-create")
    assert cluster.owned("kubectl-create", "Update") == {".spec", ".spec.size", ".spec.labels", ".spec.labels.a"}


def test_a_writer_takes_what_it_changes_from_every_owner(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, code="ab"), "one")
    cluster.edit(lambda obj: obj["spec"].update(size=2), "scaler", now=T2)
    assert (cluster.owned("one"), cluster.owned("scaler", "Update")) == ({".spec.code"}, {".spec.size"})


def test_equal_values_are_owned_together(cluster: Cluster) -> None:
    cluster.apply(widget(size=1), "one")
    cluster.apply(widget(size=1, code="ab"), "two", now=T2)
    assert (cluster.owned("one"), cluster.owned("two")) == ({".spec.size"}, {".spec.size", ".spec.code"})


def test_the_status_is_owned_apart(cluster: Cluster) -> None:
    cluster.apply(widget(size=1), "one")
    cluster.edit(lambda obj: obj.update(status={"phase": "Ready"}), "one", subresource="status", now=T2)
    assert cluster.owned("one") == {".spec.size"}
    assert cluster.owned("one", "Update", "status") == {".status", ".status.phase"}


def test_what_was_there_before_anybody_applied_has_an_owner_too(cluster: Cluster) -> None:
    cluster.live = widget(size=1)
    cluster.live["metadata"]["uid"] = "1"
    with pytest.raises(Conflicts, match='conflict with "before-first-apply" using example.com/v1: .spec.size'):
        cluster.apply(widget(size=2), "one")


def test_an_object_without_owners_gets_none_by_an_update(cluster: Cluster) -> None:
    cluster.live = widget(size=1)
    assert cluster.edit(lambda obj: obj["spec"].update(size=2), "one")["metadata"]["managedFields"] == []


def test_a_client_can_make_the_server_forget_all_owners(cluster: Cluster) -> None:
    cluster.apply(widget(size=1), "one")
    cluster.edit(lambda obj: obj["metadata"].update(managedFields=[]), "two")
    assert cluster.live is not None
    assert cluster.live["metadata"]["managedFields"] == []


def test_a_client_that_sends_no_owners_keeps_them(cluster: Cluster) -> None:
    cluster.apply(widget(size=1), "one")
    cluster.edit(lambda obj: obj["metadata"].pop("managedFields"), "two")
    assert cluster.owned("one") == {".spec.size"}


# ---- conflicts


def test_a_conflict_names_manager_version_and_field(cluster: Cluster) -> None:
    cluster.write(deployment(replicas=2), "kubectl-client-side-apply")
    with pytest.raises(Conflicts) as refusal:
        cluster.apply(deployment(replicas=3), "helm")
    said = 'conflict with "kubectl-client-side-apply" using apps/v1'
    assert str(refusal.value) == f"Apply failed with 1 conflict: {said}: .spec.replicas"
    assert refusal.value.causes == [{"reason": "FieldManagerConflict", "message": said, "field": ".spec.replicas"}]


def test_several_conflicts_are_listed_by_manager(cluster: Cluster) -> None:
    cluster.apply(deployment(replicas=2, template=pods({"name": "app", "image": "a"})), "argo")
    cluster.edit(lambda obj: obj["spec"].update(paused=True), "scaler", subresource="status")
    with pytest.raises(Conflicts) as refusal:
        cluster.apply(deployment(replicas=3, paused=False, template=pods({"name": "app", "image": "b"})), "helm")
    assert str(refusal.value) == (
        "Apply failed with 3 conflicts: "
        'conflicts with "argo":\n- .spec.replicas\n- .spec.template.spec.containers[name="app"].image\n'
        'conflicts with "scaler" with subresource "status" using apps/v1:\n- .spec.paused'
    )


def test_force_takes_the_field_over(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, code="ab"), "one")
    cluster.apply(widget(size=2), "two", force=True, now=T2)
    assert cluster.live is not None
    assert cluster.live["spec"]["size"] == 2
    assert (cluster.owned("one"), cluster.owned("two")) == ({".spec.code"}, {".spec.size"})


def test_no_manager_is_in_conflict_with_itself(cluster: Cluster) -> None:
    cluster.apply(widget(size=1), "one")
    assert cluster.apply(widget(size=2), "one", now=T2)["spec"]["size"] == 2


# ---- what is left out goes


def test_what_a_manager_no_longer_sends_goes(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, code="ab", labels={"a": "1", "b": "2"}), "one")
    assert cluster.apply(widget(size=1, labels={"a": "1"}), "one")["spec"] == {
        "size": 1,
        "color": "red",
        "labels": {"a": "1"},
    }


def test_what_somebody_else_owns_stays(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, code="ab"), "one")
    cluster.apply(widget(code="ab"), "two")
    assert cluster.apply(widget(size=1), "one")["spec"]["code"] == "ab"
    assert cluster.owned("one") == {".spec.size"}


def test_a_writer_who_changed_a_field_keeps_it_alive(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, code="ab"), "one")
    cluster.edit(lambda obj: obj["spec"].update(code="cd"), "two")
    assert cluster.apply(widget(size=1), "one")["spec"]["code"] == "cd"


def test_an_item_of_a_list_goes_with_its_owner(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, parts=[{"name": "a"}, {"name": "b", "weight": 2}]), "one")
    cluster.apply(widget(parts=[{"name": "c"}]), "two")
    spec = cluster.apply(widget(size=1, parts=[{"name": "a"}]), "one")["spec"]
    assert [part["name"] for part in spec["parts"]] == ["a", "c"]


def test_a_struct_goes_when_nobody_owns_anything_in_it(cluster: Cluster) -> None:
    template = pods({"name": "app", "image": "a", "livenessProbe": {"httpGet": {"port": 80}}})
    cluster.apply(deployment(template=template), "one")
    spec = cluster.apply(deployment(template=pods({"name": "app", "image": "a"})), "one")["spec"]
    assert "livenessProbe" not in spec["template"]["spec"]["containers"][0], "its defaults must not keep it alive"


def test_a_default_comes_back_when_nobody_sets_the_field(cluster: Cluster) -> None:
    cluster.apply(deployment(replicas=5), "one")
    assert cluster.apply(deployment(), "one")["spec"]["replicas"] == 1


# ---- merging


def test_ports_that_differ_only_by_the_default_protocol_are_one_port(cluster: Cluster) -> None:
    port = {"containerPort": 80}
    cluster.apply(deployment(template=pods({"name": "app", "ports": [port]})), "one")
    port = {"containerPort": 80, "protocol": "TCP", "name": "http"}
    spec = cluster.apply(deployment(template=pods({"name": "app", "ports": [port]})), "two")["spec"]
    assert spec["template"]["spec"]["containers"][0]["ports"] == [port]


def test_sets_are_joined_and_atomic_values_replaced(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, tags=["a"], where={"room": "r", "shelf": "s"}), "one")
    spec = cluster.apply(widget(tags=["b"], where={"room": "q"}), "two", force=True)["spec"]
    assert (spec["tags"], spec["where"]) == (["a", "b"], {"room": "q"})


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [
        ("abc", "ca", "bca"),
        ("ab", "xa", "xab"),
        ("ba", "xa", "bxa"),
        ("ab", "ax", "abx"),
        ("abcd", "ba", "bcda"),
        ("abc", "xca", "bxca"),
        ("", "ab", "ab"),
    ],
)
def test_the_applied_order_holds_and_others_stay_where_they_stood(
    cluster: Cluster, live: str, applied: str, merged: str
) -> None:
    """The results are those of structured-merge-diff."""
    cluster.write(widget(size=1, parts=[{"name": name} for name in live]), "one")
    spec = cluster.apply(widget(parts=[{"name": name} for name in applied]), "two")["spec"]
    assert "".join(part["name"] for part in spec["parts"]) == merged


# ---- nothing changed


def test_applying_again_changes_nothing_at_all(cluster: Cluster) -> None:
    """Neither times nor order of managedFields: otherwise every reconcile would look like a change."""
    template = pods({"name": "app", "image": "a", "ports": [{"containerPort": 80}]})
    cluster.apply(deployment(replicas=2, template=template), "one")
    first = cluster.edit(lambda obj: obj["metadata"].update(labels={"a": "b"}), "two", now=T2)
    assert cluster.apply(deployment(replicas=2, template=template), "one", now=T3) == first


def test_defaults_inside_an_atomic_list_are_no_change(cluster: Cluster) -> None:
    source = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    template = pods({"name": "app"})
    template["spec"]["volumes"] = [{"name": "v", "downwardAPI": {"items": [source]}}]
    first = cluster.apply(deployment(template=template), "one")
    assert cluster.apply(deployment(template=template), "one", now=T3) == first


def test_the_time_of_an_entry_is_that_of_its_managers_last_change(cluster: Cluster) -> None:
    cluster.apply(widget(size=1, code="ab"), "one", now=T1)
    cluster.apply(widget(size=2), "two", force=True, now=T2)
    assert (cluster.time("one"), cluster.time("two")) == (T1, T2)
    cluster.apply(widget(code="cd"), "one", now=T3)
    assert cluster.time("one") == T3


specs = st.fixed_dictionaries(
    {},
    optional={
        "size": st.integers(1, 3),
        "code": st.sampled_from(["aa", "bb"]),
        "tags": st.lists(st.sampled_from("xyz"), unique=True, max_size=3),
        "labels": st.dictionaries(st.sampled_from("lm"), st.sampled_from("12")),
        "where": st.fixed_dictionaries({}, optional={"room": st.sampled_from("rs")}),
        "parts": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"weight": st.integers(1, 3)}),
            unique_by=lambda part: part["name"],
            max_size=3,
        ),
    },
)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), specs), max_size=4), specs)
def test_an_apply_repeated_is_a_no_op_after_any_history(
    schemas: Schemas, schema_of: Any, history: list[tuple[str, Object]], spec: Object
) -> None:
    cluster = Cluster(schemas, schema_of)
    for manager, earlier in history:
        cluster.apply(widget(**earlier), manager, force=True)
    first = copy.deepcopy(cluster.apply(widget(**spec), "one", force=True, now=T2))
    assert cluster.apply(widget(**spec), "one", now=T3) == first


@given(specs, specs)
def test_one_manager_alone_gets_what_it_applies(schemas: Schemas, schema_of: Any, before: Object, spec: Object) -> None:
    """Whatever it applied before: nothing is left of it."""
    cluster, fresh = Cluster(schemas, schema_of), Cluster(schemas, schema_of)
    cluster.apply(widget(**before), "one")

    def told(obj: Object) -> Object:
        """The order of items aside."""
        shown = functools.partial(json.dumps, sort_keys=True)
        return {
            name: sorted(map(shown, value)) if isinstance(value, list) else value for name, value in obj["spec"].items()
        }

    assert told(cluster.apply(widget(**spec), "one")) == told(fresh.apply(widget(**spec), "one"))


# ---- what cannot be applied


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"replica": 1}, ".spec.replica: field not declared in schema"),
        (
            {"template": pods({"name": "app", "imag": "a"})},
            '.spec.template.spec.containers[name="app"].imag: field not declared in schema',
        ),
        (
            {"template": pods({"name": "app"}, {"name": "app"})},
            '.spec.template.spec.containers: duplicate entries for key [name="app"]',
        ),
        (
            {"template": pods({"image": "a"})},
            ".spec.template.spec.containers: element 0: associative list with keys has an element that "
            "omits all its keys",
        ),
    ],
)
def test_a_configuration_must_fit_the_schema(cluster: Cluster, spec: Object, complaint: str) -> None:
    with pytest.raises(ApplyError) as refusal:
        cluster.apply(deployment(**spec), "one")
    subject = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment)"
    assert str(refusal.value) == f"{subject}: {complaint}"


def test_nobody_applies_managed_fields(cluster: Cluster) -> None:
    obj = widget(size=1)
    obj["metadata"]["managedFields"] = []
    with pytest.raises(ApplyError, match=r"^metadata\.managedFields must be nil$"):
        cluster.apply(obj, "one")


# ---- from kubectl apply to kubectl apply --server-side


def test_kubectl_takes_over_from_its_own_client_side_apply(cluster: Cluster) -> None:
    """Fields that still are as the annotation says are no conflict; others are."""
    applied = deployment(replicas=2, paused=False)
    live = copy.deepcopy(applied)
    live["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(applied)}
    cluster.write(live, "kubectl-client-side-apply")
    cluster.edit(lambda obj: obj["spec"].update(paused=True), "kubectl-edit")
    with pytest.raises(
        Conflicts, match=r'^Apply failed with 1 conflict: conflict with "kubectl-edit".*: .spec.paused$'
    ):
        cluster.apply(deployment(replicas=3, paused=False), "kubectl")
    taken = cluster.apply(deployment(replicas=3), "kubectl")
    assert taken["spec"]["replicas"] == 3
    assert json.loads(taken["metadata"]["annotations"][LAST_APPLIED])["spec"] == {"replicas": 3}
