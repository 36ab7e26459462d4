"""A plan's id stands for what it means."""

import json

import pytest

from infra_ops.models.plans import Plan, Step

STEP = Step("a.set", "role a", "no password", "version 2")


def test_equal_plans_have_equal_ids_and_survive_json() -> None:
    plan = Plan("rotate_credentials", (STEP,), {"versions": {"a": 1}}, ("b: not due.",))
    again = Plan.from_dict(json.loads(json.dumps(plan.as_dict())))
    assert again == plan
    assert again.id == plan.id


@pytest.mark.parametrize(
    "other",
    [
        Plan("other", (STEP,)),
        Plan("rotate_credentials", ()),
        Plan("rotate_credentials", (Step("a.set", "role a", "no password", "version 3"),)),
        Plan("rotate_credentials", (STEP,), {"versions": {"a": 2}}),
    ],
)
def test_another_meaning_is_another_id(other: Plan) -> None:
    assert other.id != Plan("rotate_credentials", (STEP,)).id


def test_the_reasons_for_doing_nothing_do_not_change_the_id() -> None:
    assert Plan("r", (STEP,), nothing_to_do=("b: young.",)).id == Plan("r", (STEP,)).id


def test_an_altered_plan_is_refused() -> None:
    stored = Plan("r", (STEP,)).as_dict()
    stored["steps"][0]["after"] = "version 9"
    with pytest.raises(ValueError, match="was altered after it was made"):
        Plan.from_dict(stored)
