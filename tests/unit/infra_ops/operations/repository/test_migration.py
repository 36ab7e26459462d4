"""Only the bytes of values change, whatever the document; what cannot be replaced is refused with its place."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from urllib.parse import quote

import jinja2
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from infra_ops.models.fingerprints import Fingerprints
from infra_ops.operations.repository.migration import Migration, migrate
from infra_ops.operations.repository.names import Names
from tests.lab.repository.fixture import PLAYBOOKS, TREE, VALUES

KEY = b"k" * 32
VAULT = "ansible/vars/vault.yml"
REFERENCE = "{{ vault_nas_password }}"


def known(values: dict[str, str]) -> Fingerprints:
    return Fingerprints(KEY, {}).with_values({name: [value] for name, value in values.items()})


def migrated(tree: dict[str, str], values: dict[str, str]) -> Migration:
    prints = known(values)
    texts = {path: text.encode() for path, text in tree.items()}
    return migrate(texts, prints, Names(prints, {}), ansible="ansible", vault=VAULT)


def one(path: str, text: str, value: str = "Kestrel-77!") -> str:
    """The text after the migration of a repository of one file."""
    result = migrated({path: text}, {"nas": value})
    assert result.refused == []
    return result.files.get(path, text)


def refusal(path: str, text: str, value: str = "Kestrel-77!") -> str:
    (sentence,) = migrated({path: text}, {"nas": value}).refused
    assert value not in sentence
    return sentence


LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
PASSWORDS = st.text(st.sampled_from("abcXYZ0189!$%&()*+,-./:;<=>?@[]^_|~#'\"\\ ÄßЖ"), min_size=8, max_size=20).filter(
    lambda value: value == value.strip() and "{{" not in value and not value.isalpha()
)
SCALARS = st.one_of(LETTERS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))
PLANTED = st.sampled_from(["PLANT", "before PLANT after", "x:PLANT@y", "PLANT\nsecond line\n", "PLANT PLANT"])
DOCUMENTS = st.recursive(
    st.one_of(SCALARS, PLANTED),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(LETTERS, inner, max_size=4)),
    max_leaves=15,
)


def planted(node: object, value: str) -> object:
    if isinstance(node, str):
        return node.replace("PLANT", value)
    if isinstance(node, list):
        return [planted(item, value) for item in node]
    return {key: planted(item, value) for key, item in node.items()} if isinstance(node, dict) else node


def rendered(node: object, variables: dict[str, str]) -> object:
    """As Ansible would: every string that has braces is a template."""
    if isinstance(node, str) and "vault_" in node:
        return jinja2.Environment(keep_trailing_newline=True).from_string(node).render(variables)
    if isinstance(node, list):
        return [rendered(item, variables) for item in node]
    return {key: rendered(item, variables) for key, item in node.items()} if isinstance(node, dict) else node


@settings(max_examples=150, deadline=None)
@given(
    document=st.dictionaries(LETTERS, DOCUMENTS, min_size=1, max_size=5),
    value=PASSWORDS,
    flow=st.sampled_from([None, True, False]),
    style=st.sampled_from([None, '"', "'", "|", ">"]),
    width=st.sampled_from([20, 80, 10**6]),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_a_document_keeps_every_byte_but_the_values(
    document: dict[str, object], value: str, flow: bool | None, style: str | None, width: int, ends: str
) -> None:
    assume("PLANT" not in value and value not in repr(document))
    whole = planted(document, value)
    text = yaml.safe_dump(
        whole, default_flow_style=flow, default_style=style, width=width, allow_unicode=True, sort_keys=False
    ).replace("\n", ends)
    assume(yaml.safe_load(text) == whole)  # PyYAML does not read all that it writes
    result = migrated({"ansible/vars/x.yml": text}, {"nas": value})
    after = result.files.get("ansible/vars/x.yml", text)
    if result.refused:
        return
    name = "vault_nas_password"
    assert rendered(yaml.safe_load(after), {name: value}) == whole
    # the text is the same without value and reference; quotes may have been put around. What YAML escapes, it spells
    # in more characters than the value has: there the rendering above is the proof.
    if not set(value) & set("\\\"'") and text.count(value) == after.count(REFERENCE):
        assert bare(after.replace(REFERENCE, "")) == bare(text.replace(value, ""))


def bare(text: str) -> str:
    return text.replace('"', "").replace("'", "")


def test_the_fixture_loses_its_values_and_no_other_byte() -> None:
    result = migrated(TREE, VALUES)
    assert result.refused == []
    assert len(PLAYBOOKS) >= 20
    assert len(result.values) == len(VALUES)
    for text in {**TREE, **result.files}.values():
        for name, value in VALUES.items():
            assert value not in text or name == "flower_celery"  # a word: `flowerpots` in the README is none
    for path, text in result.files.items():
        assert bare(undone(text)) == bare(TREE[path]), path  # references are quoted


NUMBERED = {f"vault_{name}_password": value for name, value in VALUES.items()}
# By hand, and not by the code under test: what each form of a reference stands for.
FORMS: list[tuple[str, Callable[[str], str]]] = [
    (r"\$\{(VAULT_\w+):\?missing\}", lambda value: value),
    (r"\{\{ \('admin:' ~ (vault_\w+)\) \| b64encode \}\}", lambda value: encoded(f"admin:{value}")),
    (r"\{\{ (vault_\w+) \| urlencode \}\}", lambda value: quote(value, safe="")),
    (r"\{\{ (vault_\w+) \}\}", lambda value: value),
    (r"\('postgresql://appuser:' ~ (vault_\w+) ~ '@db/'\)", lambda v: f"'postgresql://appuser:{v}@db/'"),
    (r"\('admin:' ~ (vault_\w+)\)", lambda value: f"'admin:{value}'"),
    (r"(?<== )(vault_pihole\w+)", lambda value: f"'{value}'"),
    (r"(?<=!= )(vault_\w+)", lambda value: f'"{value}"'),
]
LINES = [  # that are put in
    (r"^ *no_log: true\r?\n", ""),
    (r"- no_log: true\n +", "- "),
    (r"no_log: true, ", ""),
    (r"^ *vars_files:\n +- \.\./vars/vault\.yml\n(?! +- )", ""),
    (r"^ +- \.\./vars/vault\.yml\n", ""),
    (r"\.\./vars/vault\.yml, ", ""),
]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def undone(text: str) -> str:
    for pattern, replacement in LINES:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    for pattern, form in FORMS:
        text = re.sub(pattern, lambda found, form=form: form(NUMBERED[found[1].lower()]), text)  # type: ignore[misc]
    return text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: Kestrel-77!  # why\n", 'a: "{{ v }}"  # why\n'),
        ("a: 'Kestrel-77!'\n", "a: '{{ v }}'\n"),
        ("a:   x Kestrel-77! y\n", "a:   x {{ v }} y\n"),
        ("a: {b: Kestrel-77!, c: [Kestrel-77!]}\n", 'a: {b: "{{ v }}", c: ["{{ v }}"]}\n'),
        ("a: |-\n  x\n  Kestrel-77!\n", "a: |-\n  x\n  {{ v }}\n"),
        ("# Kestrel-77!\na: 1\n", "# {{ v }}\na: 1\n"),
        ("a: \"{{ 'Kestrel-77!' | hash }}\"\n", 'a: "{{ v | hash }}"\n'),
        ("a: http://u:Kestrel-77%21@h\n", "a: http://u:{{ v | urlencode }}@h\n"),
        ("a: S2VzdHJlbC03NyE=\n", 'a: "{{ v | b64encode }}"\n'),
        ("- &x Kestrel-77!\n- *x\n", '- &x "{{ v }}"\n- *x\n'),
    ],
)
def test_each_place_in_yaml_gets_its_own_form(before: str, after: str) -> None:
    assert one("ansible/vars/x.yml", before) == after.replace("{{ v", "{{ vault_nas_password")


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("k8s/secret.yaml", "stringData: {password: Kestrel-77!}\n", "it is no file of Ansible"),
        ("ansible/files/run.sh", "echo Kestrel-77!\n", "it is no file of Ansible"),
        ("ansible/vars/x.yml", "Kestrel-77!: 1\n", "it is the name of a setting"),
        ("ansible/vars/x.yml", "a: !vault Kestrel-77!\n", "marked by a tag"),
        ("ansible/vars/x.yml", "a: [Kestrel-77!\n", "cannot be read as YAML"),
        ("ansible/templates/x.j2", "{% raw %}Kestrel-77!{% endraw %}", "between {% raw %}"),
        ("ansible/templates/x.j2", "#jinja2: variable_start_string:'[['\nKestrel-77!", "settings of its own for Jinja"),
        ("ansible/vars/x.yml", 'a: "{{ Kestrel-77! }}"\n', "cannot be read as Jinja"),
    ],
)
def test_what_cannot_take_a_reference_is_named(path: str, text: str, reason: str) -> None:
    sentence = refusal(path, text)
    assert sentence.startswith(f"{path} line ")
    assert reason in sentence


def test_a_number_is_refused_because_a_reference_is_text() -> None:
    assert "no text to YAML; put it in quotes" in refusal("ansible/vars/x.yml", "a: 12345678\n", "12345678")
    assert one("ansible/vars/x.yml", "a: '12345678'\n", "12345678") == "a: '{{ vault_nas_password }}'\n"


def test_a_value_that_is_jinja_itself_is_refused() -> None:
    assert "looks like Jinja" in refusal("ansible/vars/x.yml", "a: 'x{{y}}zz'\n", "x{{y}}zz")


def test_conditions_take_the_bare_name() -> None:
    text = "- hosts: all\n  tasks:\n    - debug:\n      when: a != 'Kestrel-77!'\n"
    assert "when: a != vault_nas_password\n" in one("ansible/x.yml", text)


def test_two_values_of_one_credential_get_two_variables() -> None:
    prints = Fingerprints(KEY, {}).with_values({"nas": ["Kestrel-77!", "Kestrel-78!"]})
    result = migrate(
        {"ansible/vars/x.yml": b"a: Kestrel-77!\nb: Kestrel-78!\n"},
        prints,
        Names(prints, {}),
        ansible="ansible",
        vault=VAULT,
    )
    assert result.values == {"vault_nas_password": "Kestrel-77!", "vault_nas_password_2": "Kestrel-78!"}


def test_a_play_in_braces_loads_the_vault_and_hides_its_tasks() -> None:
    text = "- {hosts: all, vars: {p: Kestrel-77!}, tasks: [{debug: {msg: '{{ p }}'}}]}\n"
    after = yaml.safe_load(one("ansible/playbooks/x.yml", text))
    assert after[0]["vars_files"] == ["../vars/vault.yml"]
    assert after[0]["tasks"][0]["no_log"] is True
