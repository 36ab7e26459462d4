"""Repositories are migrated for real: Git, OpenBao and Ansible are the real ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from infra_ops.clients.effects import Effects
from infra_ops.clients.kv import SomebodyWasFaster
from infra_ops.models.credentials import Credential
from infra_ops.models.outcomes import State
from infra_ops.models.problems import Problem, Refusal
from infra_ops.operations.actions import carry_out
from infra_ops.operations.operation import Request
from infra_ops.operations.repository import proposal
from infra_ops.operations.repository.vaulting import AnsibleVault
from infra_ops.operations.repository.workshop import Workshop
from tests.lab.repository.fixture import PLAYBOOKS, SMALL, TREE, UNKNOWN, VALUES
from tests.lab.repository.stage import BRANCH, Stage

GOOD = dict.fromkeys(["K030", "K032", "K033", "K034"], State.PASS)
EVERYWHERE = [value for name, value in VALUES.items() if name != "flower_celery"]  # flowerpots are no password
small = pytest.mark.parametrize("tree", [SMALL], ids=["small"])


def states(outcomes: list) -> dict[str, State]:  # type: ignore[type-arg]
    return {outcome.id: outcome.state for outcome in outcomes}


@pytest.mark.parametrize("tree", [TREE], ids=["24 playbooks"])
def test_a_whole_repository_is_proposed_and_merged(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    before = stage.branch("main")
    plan = stage.plan()
    assert [step.id for step in plan.steps][-4:] == ["vault.password", "vault.home", "vault.restored", "branch.push"]
    assert "ansible/playbooks/smtp.yml:4 may hold a secret" in plan.text()
    assert states(stage.apply(plan)) == GOOD
    told = plan.text() + json.dumps(plan.as_dict()) + "\n".join(stage.journal.lines) + "".join(capfd.readouterr())
    files = stage.files(BRANCH)
    message = stage.message(BRANCH)
    for value in [*EVERYWHERE, UNKNOWN]:
        assert value not in told + message
        assert value == UNKNOWN or all(value.encode() not in data for data in files.values())
    assert stage.branch("main") == before  # never main
    assert stage.count(BRANCH) == 1
    assert len(PLAYBOOKS) >= 20
    assert message.splitlines()[0] == "Keep passwords in Ansible Vault"
    assert {path for path in files if files[path] != TREE.get(path, "").encode()} >= {
        ".gitignore",
        "ansible/vars/vault.example.yml",
        "ansible/vault-password-client",
        "docs/vault.md",
    }
    assert "ansible/vars/vault.yml" not in files
    # a second run has nothing to do, before and after the merge
    again = stage.plan()
    assert again.steps == ()
    assert "proposes it already" in again.nothing_to_do[0]
    stage.merge()
    assert "has its passwords in the vault" in stage.plan().nothing_to_do[0]
    outcomes = stage.scan()
    assert states(outcomes)["K031"] is State.FAIL  # the history shows what still works
    assert {key: value for key, value in states(outcomes).items() if key != "K031"} == GOOD
    for name in VALUES:
        stage.kv.write(f"svc/{name}", Credential("admin", f"a-new-one-{name}!"), replaces=1)
    outcomes = stage.scan()
    assert set(states(outcomes).values()) == {State.PASS}
    assert "0 values that still open something, 7 retired ones" in outcomes[0].seen


@small
def test_a_committed_vault_is_reviewed_with_the_rest_and_grows(stage: Stage) -> None:
    stage.vault = "committed"
    assert states(stage.apply(stage.plan())) == GOOD
    assert stage.files(BRANCH)["ansible/vars/vault.yml"].startswith(b"$ANSIBLE_VAULT;1.2;AES256;lab\n")
    assert stage.plan().steps == ()
    stage.merge()
    vault = stage.files("main")["ansible/vars/vault.yml"]
    assert "in the vault" in stage.plan().nothing_to_do[0]
    # what a person calls a secret goes the same way, and the vault keeps what it had
    stage.write({"ansible/playbooks/mail.yml": f"- hosts: nas\n  vars:\n    smtp_password: {UNKNOWN}\n  tasks: []\n"})
    stage.commit("A new playbook")
    assert "mail.yml:3 may hold a secret" in stage.plan().text()
    plan = stage.plan(include=["ansible/playbooks/mail.yml:3"])
    assert states(stage.apply(plan)) == GOOD
    assert b'smtp_password: "{{ vault_smtp_password }}"' in stage.files(BRANCH)["ansible/playbooks/mail.yml"]
    assert stage.files(BRANCH)["ansible/vars/vault.yml"] != vault
    assert UNKNOWN not in plan.text()
    assert states(stage.scan())["K030"] is State.FAIL  # from now on it is known


@small
def test_a_tracked_vault_that_is_to_be_ignored_leaves_the_tree(stage: Stage) -> None:
    stage.vault = "committed"
    stage.apply(stage.plan())
    stage.merge()
    stage.vault = "ignored"
    (failed,) = [outcome for outcome in stage.scan() if outcome.id == "K032"]
    assert "git rm --cached" in failed.reason
    assert states(stage.apply(stage.plan())) == GOOD
    assert "ansible/vars/vault.yml" not in stage.files(BRANCH)


@small
def test_the_users_own_command_opens_what_came_from_the_store(stage: Stage) -> None:
    """As docs/vault.md says: the file fetched, and the client of the repository."""
    stage.apply(stage.plan())
    stage.merge()
    home = stage.kv.read_fields("ansible/vault/lab")
    assert home
    stage.write({"ansible/vars/vault.yml": home.values["file"]})
    environment = {**os.environ, "VAULT_TOKEN": stage.token, "ANSIBLE_VAULT_ID_MATCH": "true"}
    argv = [
        str(Path(sys.executable).with_name("ansible-vault")),
        "view",
        "--vault-id",
        "lab@ansible/vault-password-client",
        "ansible/vars/vault.yml",
    ]
    result = subprocess.run(argv, cwd=stage.work, env=environment, capture_output=True, text=True)
    assert yaml.safe_load(result.stdout) == {
        "vault_pihole_admin_password": VALUES["pihole_admin"],
        "vault_synology_admin_password": VALUES["synology_admin"],
    }, result.stderr


@small
def test_what_only_a_tag_holds_is_found_in_the_history(stage: Stage) -> None:
    stage.git("checkout", "-q", "--detach")
    stage.write({"OLD.md": f"Only here the NAS took {VALUES['synology_admin']}.\n"})  # a line is looked at once
    stage.git("add", "-A")
    stage.git("commit", "-q", "-m", "Nobody merged this")
    stage.git("tag", "v1")
    stage.git("push", "-q", "origin", "v1")
    (history,) = [outcome for outcome in stage.scan() if outcome.id == "K031"]
    assert "synology_admin in OLD.md" in history.reason


@small
def test_a_scan_runs_nothing_of_the_repository(stage: Stage, tmp_path: Path) -> None:
    """It runs every day with nobody watching, as an identity that reads all credentials."""
    stage.apply(stage.plan())
    stage.merge()
    ran = tmp_path / "ran"
    looked_up = f"{{{{ lookup('pipe', 'touch {ran}; echo nas.yml') }}}}"
    stage.write(
        {
            "ansible/playbooks/evil.yml": f'- import_playbook: "{looked_up}"\n',
            "ansible/inventory/evil": f"#!/bin/sh\ntouch {ran}\necho '{{}}'\n",
        }
    )
    (stage.work / "ansible/inventory/evil").chmod(0o755)
    stage.commit("Code")
    outcomes = stage.scan()
    assert not ran.exists()
    assert {key: value for key, value in states(outcomes).items() if key != "K031"} == GOOD
    # its settings are not Ansible's while the vault is opened
    stage.write({"ansible/ansible.cfg": "no settings\n"})
    stage.commit("Settings")
    assert states(stage.scan())["K032"] is State.PASS


def strangers(stage: Stage) -> None:
    stage.apply(stage.plan())
    stage.git("fetch", "-q", "origin", BRANCH)
    stage.git("checkout", "-q", "FETCH_HEAD")
    stage.write({"README.md": "mine\n"})
    stage.commit("My own work", BRANCH)


def without_execute_bit(stage: Stage) -> None:
    stage.apply(stage.plan())
    stage.merge()
    stage.git("update-index", "--chmod=-x", "ansible/vault-password-client")
    stage.git("commit", "-q", "-m", "Lose a bit")
    stage.git("push", "-q", "origin", "HEAD:main")


def encrypted_by_another(stage: Stage) -> None:
    stage.encrypt("another password", "lab")


def wrong_password(stage: Stage) -> None:
    stage.kv.write_fields("ansible/password/lab", {"password": "of the store"}, replaces=0)
    stage.encrypt("another password", "lab")


def wrong_label(stage: Stage) -> None:
    """The password fits: without ANSIBLE_VAULT_ID_MATCH Ansible would open it."""
    stage.kv.write_fields("ansible/password/lab", {"password": "the password"}, replaces=0)
    stage.encrypt("the password", "prod")


def with_values_that_are_no_text(stage: Stage) -> None:
    """A number and a list, which were written back as `"5432"` and `"['a', 'b']"`."""
    stage.kv.write_fields("ansible/password/lab", {"password": "the password"}, replaces=0)
    stage.encrypt("the password", "lab", "vault_text: value\nvault_port: 5432\nvault_hosts: [a, b]\n")


def second_home_with_an_empty_value(stage: Stage) -> None:
    with_values_that_are_no_text(stage)
    stage.encrypt("the password", "lab", "vault_empty:\n")
    file = stage.work / "ansible/vars/vault.yml"
    stage.kv.write_fields("ansible/vault/lab", {"file": file.read_text()}, replaces=0)
    file.unlink()
    stage.commit("No vault here")


def not_encrypted(stage: Stage) -> None:
    stage.write({"ansible/vars/vault.yml": "a: b\n"})
    stage.commit("A vault in clear")


def no_place_for_a_reference(stage: Stage) -> None:
    stage.write({"k8s/secret.yaml": f"stringData:\n  password: {VALUES['synology_admin']}\n"})
    stage.commit("A manifest")


def proposals_are_the_default(stage: Stage) -> None:
    stage.git("push", "-q", "origin", f"HEAD:{BRANCH}")
    argv = ["git", "--git-dir", str(stage.origin), "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}"]
    subprocess.run(argv, check=True)


@small
@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (strangers, rf"The branch {BRANCH} has commits of somebody else: merge or delete it, then run this again\."),
        (without_execute_bit, r"vault-password-client has no execute bit, so Ansible would take its source for the"),
        (encrypted_by_another, r"vault\.yml is encrypted already, and the store has no password for it: store it at"),
        (wrong_password, r"encrypted with a password or label that the store does not have \(label lab\): rekey"),
        (wrong_label, r"vault\.yml is encrypted under another label than 'lab': rekey it, or name its label"),
        (with_values_that_are_no_text, r"ansible/vars/vault\.yml has .* text .*\(vault_hosts, vault_port\): put their"),
        (
            second_home_with_an_empty_value,
            r"vault\.yml at store path ansible/vault/lab has .*\(vault_empty\): put their",
        ),
        (not_encrypted, r"vault\.yml is there and not encrypted: move it, or encrypt it yourself\."),
        (no_place_for_a_reference, r"k8s/secret\.yaml line 2 \(synology_admin\): it is no file of Ansible"),
        (proposals_are_the_default, rf"{BRANCH} is where proposals go: it cannot be the branch that people work on"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_mistake_is_refused_in_one_sentence(stage: Stage, mistake: Callable[[Stage], None], sentence: str) -> None:
    mistake(stage)
    branch = stage.branch()
    with pytest.raises(Refusal, match=sentence) as refusal:
        stage.plan()
    assert "\n" not in str(refusal.value)
    assert not any(value in str(refusal.value) for value in VALUES.values())
    assert stage.branch() == branch


@small
def test_a_proposal_that_renders_otherwise_is_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof, seen red: the vault has another value than the repository had."""
    real = proposal.vault_text
    monkeypatch.setattr(proposal, "vault_text", lambda values: real(dict.fromkeys(values, "something else")))
    with pytest.raises(Refusal, match=r"\d+ places would render differently, such as playbooks/"):
        stage.plan()


@small
def test_somebody_who_pushes_in_between_is_not_overwritten(stage: Stage) -> None:
    plan = stage.plan()
    stage.write({"README.md": "mine\n"})
    stage.commit("My own work", BRANCH)
    theirs = stage.branch()
    with pytest.raises(Problem, match="commits of somebody else"):
        stage.apply(plan)
    assert stage.branch() == theirs


@small
def test_what_somebody_put_into_the_second_home_in_between_is_kept(stage: Stage) -> None:
    """The values were made up from the version before, so they know nothing of it."""
    stage.apply(stage.plan())
    stage.merge()
    stage.write({"ansible/playbooks/mail.yml": f"- hosts: nas\n  vars:\n    smtp_password: {UNKNOWN}\n  tasks: []\n"})
    stage.commit("A new playbook")
    plan = stage.plan(include=["ansible/playbooks/mail.yml:3"])
    work = AnsibleVault(Request("ansible_vault/1", {}, stage.inventory, plan)).work()
    somebody = Workshop(stage.inventory)  # its folder goes with it
    theirs = somebody.ansible.encrypt(proposal.vault_text({"vault_of_theirs": "quartz"}))
    stage.kv.write_fields("ansible/vault/lab", {"file": theirs}, replaces=1)
    with pytest.raises(SomebodyWasFaster, match="ansible/vault/lab no longer has version 1"):
        carry_out(work.groups["keep"], Effects(stage.journal, still_allowed=lambda: None))
    home = stage.kv.read_fields("ansible/vault/lab")
    assert home
    assert home.values["file"] == theirs


@small
def test_nothing_is_left_on_the_disk(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    stage.apply(stage.plan())
    import gc

    gc.collect()
    assert [path.name for path in (tmp_path / "tmp").iterdir() if re.match("infra-ops-", path.name)] == []
