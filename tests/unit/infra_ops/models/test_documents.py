"""A document that cannot be used says in one sentence where and why."""

from typing import Literal

import pytest

from infra_ops.models.documents import Document, DocumentError, parse


class Leaf(Document):
    kind: Literal["Deployment", "StatefulSet"]
    replicas: int = 1


class Tree(Document):
    name: str
    leaves: list[Leaf]


GOOD = "name: oak\nleaves:\n  - kind: Deployment\n  - {kind: StatefulSet, replicas: 2}\n"
QUOTE = "if it is meant as text, put it in quotes"
NESTED = "tree.yaml, line 1: the document: it is nested too deeply, or an alias stands for what it is a part of."


def test_a_good_document_becomes_a_model() -> None:
    assert parse(GOOD, Tree, "tree.yaml").leaves[1].replicas == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: oak\n", "tree.yaml, line 1: the document: leaves is missing."),
        (
            GOOD + "colour: red\n",
            "tree.yaml, line 5: colour: colour is not known here; check the spelling or remove it.",
        ),
        (
            GOOD.replace("kind: Deployment", "kind: Job"),
            "tree.yaml, line 3: leaves[0].kind: found 'Job'; allowed are 'Deployment' or 'StatefulSet'.",
        ),
        (
            GOOD.replace("replicas: 2", "replicas: two"),
            "tree.yaml, line 4: leaves[1].replicas: found 'two'; input should be a valid integer.",
        ),
        (GOOD.replace("name: oak", "name: 3"), "tree.yaml, line 1: name: found 3; input should be a valid string."),
        ("name: [", "tree.yaml, line 1: this is not YAML: expected the node content, but found '<stream end>'."),
        (
            GOOD.replace("oak", "2020-13-45"),
            f"tree.yaml, line 1: this is not YAML: '2020-13-45' is no timestamp; {QUOTE}.",
        ),
        (
            GOOD.replace("replicas: 2", "replicas: !!int two"),
            f"tree.yaml, line 4: this is not YAML: 'two' is no int; {QUOTE}.",
        ),
        (
            "name: !!bool maybe",
            f"tree.yaml, line 1: this is not YAML: 'maybe' is no bool; {QUOTE}.",
        ),
        ("{[a]: b}", "tree.yaml, line 1: this is not YAML: found unhashable key."),
        ("&a [*a]", NESTED),
        ("leaves: &a\n  - leaves: *a\n", NESTED),
        ('"co\\nlour": red', "tree.yaml, line 1: the document: name is missing."),
        (
            GOOD + '"co\\nlour": red\n',
            "tree.yaml, line 5: co lour: co lour is not known here; check the spelling or remove it.",
        ),
        ("name: a\nname: b\nleaves: []\n", "tree.yaml, line 2: name stands twice in one mapping; keep one."),
        ("", "tree.yaml, line 1: the document: found nothing; input should be a valid dictionary or instance of Tree."),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_is_allowed(text: str, sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text, Tree, "tree.yaml")
    assert str(caught.value) == sentence
