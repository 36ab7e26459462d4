"""Role-based access control."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.apiserver.authorization import Attributes, Policy, User
from lab.apiserver.rbacrules import allows, missing

Object = dict[str, Any]

ANN = User("ann", "", ("staff", "system:authenticated"))
BOT = User("system:serviceaccount:shop:bot", "", ("system:serviceaccounts", "system:serviceaccounts:shop"))
READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
READ_SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}


def role(name: str, *rules: Object, namespace: str = "", **more: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}
    return {"kind": "Role" if namespace else "ClusterRole", "metadata": metadata, "rules": list(rules), **more}


def binding(name: str, referred: str, *subjects: Object, namespace: str = "", kind: str = "ClusterRole") -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "subjects": list(subjects),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": referred},
    }


def policy(*objects: Object) -> Policy:
    kinds = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    return Policy(*([obj for obj in objects if obj["kind"] == kind] for kind in kinds))


def user(name: str) -> Object:
    return {"kind": "User", "name": name}


def reading(namespace: str = "shop", name: str = "") -> Attributes:
    return Attributes("get", "", "pods", name=name, namespace=namespace)


# ---- one rule


@pytest.mark.parametrize(
    ("rule", "wanted", "allowed"),
    [
        (READ_PODS, Attributes("get", "", "pods"), True),
        (READ_PODS, Attributes("watch", "", "pods"), False),
        (READ_PODS, Attributes("get", "apps", "pods"), False),
        (READ_PODS, Attributes("get", "", "pods", "log"), False),
        ({**READ_PODS, "verbs": ["*"]}, Attributes("watch", "", "pods"), True),
        ({**READ_PODS, "apiGroups": ["*"]}, Attributes("get", "apps", "pods"), True),
        ({**READ_PODS, "resources": ["pods/log"]}, Attributes("get", "", "pods", "log"), True),
        ({**READ_PODS, "resources": ["pods/log"]}, Attributes("get", "", "pods"), False),
        ({**READ_PODS, "resources": ["*"]}, Attributes("get", "", "pods", "log"), True),
        ({**READ_PODS, "resources": ["*/scale"]}, Attributes("get", "", "replicationcontrollers", "scale"), True),
        ({**READ_PODS, "resources": ["*/scale"]}, Attributes("get", "", "pods", "log"), False),
        ({**READ_PODS, "resources": ["pods/*"]}, Attributes("get", "", "pods", "log"), False),
        ({**READ_PODS, "resourceNames": ["a"]}, Attributes("get", "", "pods", name="a"), True),
        ({**READ_PODS, "resourceNames": ["a"]}, Attributes("get", "", "pods", name="b"), False),
        ({**READ_PODS, "resourceNames": ["a"]}, Attributes("list", "", "pods"), False),
        (READ_PODS, Attributes("get", path="/healthz"), False),
        ({"nonResourceURLs": ["/healthz"], "verbs": ["get"]}, Attributes("get", path="/healthz"), True),
        ({"nonResourceURLs": ["/healthz"], "verbs": ["get"]}, Attributes("get", path="/healthz/etcd"), False),
        ({"nonResourceURLs": ["/healthz/*"], "verbs": ["get"]}, Attributes("get", path="/healthz/etcd"), True),
        ({"nonResourceURLs": ["/healthz/*"], "verbs": ["get"]}, Attributes("get", path="/healthz"), False),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, Attributes("get", path="/metrics"), True),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, Attributes("get", "", "pods"), False),
    ],
)
def test_a_rule_allows_what_it_names(rule: Object, wanted: Attributes, allowed: bool) -> None:
    assert allows(rule, wanted) == allowed


# ---- bindings


def test_a_cluster_binding_holds_everywhere_and_a_role_binding_in_its_namespace() -> None:
    everywhere = policy(role("reader", READ_PODS), binding("b", "reader", user("ann")))
    assert everywhere.decide(ANN, reading("shop")).allowed
    assert everywhere.decide(ANN, reading("")).allowed
    inside = policy(role("reader", READ_PODS), binding("b", "reader", user("ann"), namespace="shop"))
    assert inside.decide(ANN, reading("shop")).allowed
    assert not inside.decide(ANN, reading("")).allowed
    assert not inside.decide(ANN, reading("other")).allowed


def test_roles_of_two_namespaces_are_two_roles() -> None:
    here, there = role("reader", READ_PODS, namespace="shop"), role("reader", namespace="other")
    bindings = [binding("b", "reader", user("ann"), namespace=name, kind="Role") for name in ("shop", "other")]
    assert policy(here, there, *bindings).decide(ANN, reading("shop")).allowed
    assert not policy(here, there, *bindings).decide(ANN, reading("other")).allowed


@pytest.mark.parametrize(
    ("subject", "who", "allowed"),
    [
        ({"kind": "User", "name": "ann"}, ANN, True),
        ({"kind": "User", "name": "bob"}, ANN, False),
        ({"kind": "User", "name": "staff"}, ANN, False),
        ({"kind": "Group", "name": "staff"}, ANN, True),
        ({"kind": "Group", "name": "ann"}, ANN, False),
        ({"kind": "ServiceAccount", "name": "bot", "namespace": "shop"}, BOT, True),
        ({"kind": "ServiceAccount", "name": "bot"}, BOT, True),
        ({"kind": "ServiceAccount", "name": "bot", "namespace": "other"}, BOT, False),
        ({"kind": "User", "name": "system:serviceaccount:shop:bot"}, BOT, True),
        ({"kind": "Group", "name": "system:serviceaccounts:shop"}, BOT, True),
    ],
)
def test_a_subject_is_matched_by_its_kind(subject: Object, who: User, allowed: bool) -> None:
    rules = policy(role("reader", READ_PODS), binding("b", "reader", subject, namespace="shop"))
    assert rules.decide(who, reading()).allowed == allowed


def test_the_reason_names_binding_role_and_subject() -> None:
    bot = {"kind": "ServiceAccount", "name": "bot", "namespace": "shop"}
    rules = policy(
        role("reader", READ_PODS),
        role("reader", READ_PODS, namespace="shop"),
        binding("all", "reader", {"kind": "Group", "name": "staff"}),
        binding("some", "reader", bot, namespace="shop", kind="Role"),
    )
    group = 'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reader" to Group "staff"'
    account = 'RBAC: allowed by RoleBinding "some/shop" of Role "reader" to ServiceAccount "bot/shop"'
    assert (rules.decide(ANN, reading()).reason, rules.decide(BOT, reading()).reason) == (group, account)


def test_a_denial_names_the_roles_that_are_missing() -> None:
    gone = policy(binding("b", "gone", user("ann")))
    assert gone.decide(ANN, reading()).reason == 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'
    assert policy().decide(ANN, reading()).reason == ""


def test_a_missing_role_does_not_take_other_rights() -> None:
    rules = policy(role("reader", READ_PODS), binding("a", "gone", user("ann")), binding("b", "reader", user("ann")))
    assert rules.decide(ANN, reading()).allowed


def test_the_rules_of_a_user_are_those_of_all_bindings() -> None:
    rules = policy(
        role("reader", READ_PODS),
        role("own", READ_SECRETS, namespace="shop"),
        binding("a", "reader", user("ann")),
        binding("b", "own", user("ann"), namespace="shop", kind="Role"),
    )
    assert [rule["resources"] for rule in rules.rules_for(ANN, "shop")] == [["pods"], ["secrets"]]
    assert [rule["resources"] for rule in rules.rules_for(ANN, "")] == [["pods"]]


# ---- aggregation


def test_an_aggregating_role_sums_the_roles_that_carry_its_label() -> None:
    sums = {"clusterRoleSelectors": [{"matchLabels": {"sum": "a"}}]}
    rules = policy(
        role("a", READ_SECRETS, aggregationRule=sums),
        role("part", READ_PODS, metadata={"labels": {"sum": "a"}}),
        binding("b", "a", user("ann")),
    )
    assert rules.decide(ANN, reading()).allowed
    assert not rules.decide(ANN, Attributes("get", "", "secrets")).allowed, "its own rules are overwritten"


def test_aggregation_may_go_in_a_circle() -> None:
    def sums(label: str) -> Object:
        return {"clusterRoleSelectors": [{"matchExpressions": [{"key": label, "operator": "Exists"}]}]}

    rules = policy(
        role("a", aggregationRule=sums("a"), metadata={"labels": {"b": ""}}),
        role("b", READ_SECRETS, aggregationRule=sums("b"), metadata={"labels": {"a": ""}}),
        role("part", READ_PODS, metadata={"labels": {"b": ""}}),
        binding("x", "a", user("ann")),
    )
    assert rules.decide(ANN, reading()).allowed
    assert not rules.decide(ANN, Attributes("get", "", "secrets")).allowed


# ---- nobody hands on more than they hold


def grant(*rules: Object) -> Policy:
    return policy(role("mine", *rules), binding("b", "mine", user("ann")))


def test_nobody_writes_a_role_beyond_their_own_rights() -> None:
    wanted = role(
        "new", {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete", "watch"]}, namespace="shop"
    )
    assert grant(READ_PODS).escalation(ANN, wanted) == (
        'user "ann" (groups=["staff" "system:authenticated"]) is attempting to grant RBAC permissions not currently '
        "held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}'
    )


def test_the_rights_that_are_lacking_are_listed_one_a_line() -> None:
    wanted = role(
        "new",
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"], "verbs": ["patch"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    )
    message = grant(READ_PODS).escalation(ANN, wanted)
    assert message is not None
    assert message.splitlines()[1:] == [
        '{APIGroups:["apps"], Resources:["deployments"], ResourceNames:["web"], Verbs:["patch"]}',
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ]


def test_a_role_within_ones_rights_may_be_written() -> None:
    wanted = role("new", {**READ_PODS, "resourceNames": ["a"]}, namespace="shop")
    assert grant(READ_PODS).escalation(ANN, wanted) is None


def test_who_may_escalate_may_write_any_role() -> None:
    escalate = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]}
    wanted = role("new", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, namespace="shop")
    assert grant(escalate).escalation(ANN, wanted) is None
    named = {**escalate, "resourceNames": ["other"]}
    assert grant(named).escalation(ANN, wanted) is not None


def test_masters_may_do_everything() -> None:
    wanted = role("new", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    assert policy().escalation(User("root", "", ("system:masters",)), wanted) is None


def test_a_binding_needs_the_rights_that_it_gives() -> None:
    reader, strong = role("reader", READ_PODS), role("strong", {**READ_PODS, "verbs": ["delete"]})
    mine = binding("mine", "reader", user("ann"))
    rules = policy(reader, strong, mine)
    assert rules.escalation(ANN, binding("new", "reader", user("bob"), namespace="shop")) is None
    message = rules.escalation(ANN, binding("new", "strong", user("bob"), namespace="shop"))
    assert message is not None
    assert message.endswith('not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}')


def test_who_may_bind_a_role_may_give_it_in_that_namespace() -> None:
    bind = {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "resourceNames": ["strong"],
        "verbs": ["bind"],
    }
    rules = policy(
        role("strong", {**READ_PODS, "verbs": ["delete"]}),
        role("binder", bind),
        binding("b", "binder", user("ann"), namespace="shop"),
    )
    assert rules.escalation(ANN, binding("new", "strong", user("bob"), namespace="shop")) is None
    assert rules.escalation(ANN, binding("new", "strong", user("bob"))) is not None


def test_a_binding_to_no_role_is_only_for_those_who_may_bind_it() -> None:
    message = policy().escalation(ANN, binding("new", "gone", user("bob")))
    assert message == 'clusterrole.rbac.authorization.k8s.io "gone" not found'


def test_only_a_cluster_admin_writes_an_aggregation_rule() -> None:
    wanted = role("new", aggregationRule={"clusterRoleSelectors": [{}]})
    message = "must have cluster-admin privileges to use the aggregationRule"
    assert grant(READ_PODS).escalation(ANN, wanted) == message
    everything = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    assert grant(*everything).escalation(ANN, wanted) is None


groups, resources, verbs = (
    st.sampled_from(["", "apps", "*"]),
    st.sampled_from(["a", "a/s", "*/s", "*"]),
    st.sampled_from("gl*"),
)
rules_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "apiGroups": st.lists(groups, min_size=1, max_size=2),
            "resources": st.lists(resources, min_size=1, max_size=2),
            "verbs": st.lists(verbs, min_size=1, max_size=2),
        },
        optional={"resourceNames": st.lists(st.sampled_from("xy"), min_size=1, max_size=2)},
    ),
    max_size=3,
)
requests = st.builds(
    Attributes,
    verb=st.sampled_from("gl"),
    group=st.sampled_from(["", "apps"]),
    resource=st.sampled_from("ab"),
    subresource=st.sampled_from(["", "s"]),
    name=st.sampled_from(["", "x", "y"]),
)


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"resourceNames": ["a"]}, {}),
        ({"resourceNames": ["a"]}, {"resourceNames": ["a", "b"]}),
        ({"resources": ["pods/log"]}, {}),
        ({}, {"resources": ["pods/log"]}),
        ({"verbs": ["get"]}, {"verbs": ["*"]}),
        ({"apiGroups": ["apps"]}, {}),
    ],
)
def test_a_narrower_rule_does_not_cover_a_wider_one(own: Object, wanted: Object) -> None:
    assert missing([{**READ_PODS, **own}], [{**READ_PODS, **wanted}])


@given(rules_strategy, rules_strategy, requests)
def test_rules_that_are_covered_allow_nothing_new(
    owned: list[Object], wanted: list[Object], request: Attributes
) -> None:
    """What makes the escalation check safe."""
    if not missing(owned, wanted) and any(allows(rule, request) for rule in wanted):
        assert any(allows(rule, request) for rule in owned)


@given(rules_strategy)
def test_rules_cover_themselves(rules: list[Object]) -> None:
    assert missing(rules, rules) == []
