"""The operation of the runbook ansible_vault."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from infra_ops.clients.effects import Effects
from infra_ops.models.outcomes import Outcome
from infra_ops.models.plans import Step
from infra_ops.models.problems import Problem, Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.operation import Request, Work
from infra_ops.operations.repository import remembering
from infra_ops.operations.repository.measuring import measure
from infra_ops.operations.repository.proposal import Proposal, build, propose, prove, vault_text
from infra_ops.operations.repository.workshop import Workshop

BRANCH = "infra-ops/ansible-vault"
ABSENT, OTHER = "absent", "other variables"
EARLIER, STRANGERS = "an earlier proposal", "commits of somebody else"
RESTORED = "restored"


class AnsibleVault:
    """Params: `include`, places (path:line) of what detect-secrets suspects and a person calls a secret."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._workshop = Workshop(request.inventory)

    def preflight(self) -> list[Outcome]:
        """Nothing that a check has a name for: what stands in the way of a proposal refuses its plan."""
        self._base()
        return []

    def work(self) -> Work:
        arguments = self._request.plan.arguments if self._request.plan else self._find()
        proposal = self._proposal
        files = Counter(place.path for place in proposal.migration.places)
        arguments = {**arguments, "files": [[path, count] for path, count in sorted(files.items())]}
        steps: set[str] = set(arguments["steps"])
        remember = [
            *remembering.actions(self._workshop.kv, self._workshop.versions, arguments["remember"]),
            *remembering.decided(self._workshop.kv, proposal.included),
        ]
        keep = [self._password(), self._home(arguments["home"]), self._restore()]
        actions = [*keep, self._push(arguments["branch"])]
        chosen = [action for action in actions if action.step.id in steps]
        reasons = [*arguments["reasons"], *self._suspected(proposal)]
        return Work(
            groups={
                "remember": remember,
                "keep": [action for action in chosen if action.step.id != "branch.push"],
                "propose": [action for action in chosen if action.step.id == "branch.push"],
            },
            arguments=arguments,
            nothing_to_do=tuple(reasons),
        )

    def reversible(self) -> Sequence[Action]:
        """Nothing: a proposal changes nothing until a person merges it, and what the store has harms nobody."""
        return []

    def standing(self) -> list[Outcome]:
        """Nothing: what the repository is like without the proposal, scan_secrets measures every day."""
        return []

    def verify(self) -> list[Outcome]:
        """K030 and K032 to K034 of the branch that is proposed, from the server; nothing when none is."""
        commit = self._workshop.clone.commit_of(BRANCH)
        if commit is None or (self._request.plan and "branch.push" not in self._request.plan.arguments["steps"]):
            return []
        fresh = Workshop(self._request.inventory)
        try:
            return measure(fresh, commit, "proposal", self._request.run)
        finally:
            fresh.clone.close()

    def _base(self) -> str:
        repository, clone = self._workshop.repository, self._workshop.clone
        base = clone.commit_of(repository.branch)
        if base is None:
            raise Refusal(f"{repository.url} has no branch {repository.branch}.")
        if BRANCH in (repository.branch, clone.default_branch()):
            raise Refusal(f"{BRANCH} is where proposals go: it cannot be the branch that people work on.")
        return base

    @cached_property
    def _proposal(self) -> Proposal:
        plan = self._request.plan
        base = plan.arguments["base"] if plan else self._base()
        include = plan.arguments["include"] if plan else self._request.params.get("include") or []
        return propose(self._workshop, base, sorted(set(include)))

    def _find(self) -> dict[str, Any]:
        """What there is to do, before there is a plan. Proves it: nobody is to approve what cannot be carried out."""
        workshop, proposal = self._workshop, self._proposal
        arguments: dict[str, Any] = {
            "base": proposal.base,
            "include": sorted(set(self._request.params.get("include") or [])),
            "vault": workshop.repository.vault,
            "variables": sorted(proposal.values),
            "remember": sorted(workshop.remembered.missing),
            "home": self._look_home(),
            "branch": ABSENT,
            "steps": [],
            "reasons": [],
        }
        if not proposal.values:
            return {**arguments, "reasons": ["The repository holds no value that is known."]}
        if workshop.kv.read_fields(workshop.password_path) is None:
            arguments["steps"].append("vault.password")
        if arguments["home"] != self._homed:
            arguments["steps"].append("vault.home")
        if arguments["home"] != self._homed or self._look_restored() != "restored and compared":
            arguments["steps"].append("vault.restored")
        commit = build(workshop, proposal)
        if commit and workshop.clone.files(commit) == proposal.tree:
            return {**arguments, "reasons": [f"{workshop.repository.branch} has its passwords in the vault."]}
        arguments["branch"] = self._look_branch(commit)
        if arguments["branch"] == STRANGERS:
            raise Refusal(f"The branch {BRANCH} has {STRANGERS}: merge or delete it, then run this again.")
        if commit and arguments["branch"] == self._proposed:
            return {**arguments, "reasons": [f"The branch {BRANCH} proposes it already: review and merge it."]}
        prove(workshop, proposal)
        arguments["steps"].append("branch.push")
        return arguments

    def _suspected(self, proposal: Proposal) -> list[str]:
        return [
            f"{each.place} may hold a secret ({each.kind}): a person decides; param include takes it in."
            for each in proposal.suspicions
        ]

    def _password(self) -> Action:
        kv, path = self._workshop.kv, self._workshop.password_path
        step = Step("vault.password", f"store path {path}", ABSENT, "a random password")

        def look() -> str:
            return step.after if kv.read_fields(path) else step.before

        def do(effects: Effects) -> None:
            fresh = {"password": secrets.token_urlsafe(32)}
            effects.do(step.id, "store the vault's password", lambda: kv.write_fields(path, fresh, replaces=0))

        return Action(step, look, do)

    def _home(self, before: str) -> Action:
        workshop = self._workshop
        step = Step("vault.home", f"store path {workshop.home_path}", before, self._homed)

        def do(effects: Effects) -> None:
            tracked = self._proposal.tree.get(workshop.repository.vault_file)
            text = (tracked.data or b"").decode() if tracked else ""
            if not text or workshop.opened(text) != self._proposal.values:
                text = workshop.ansible.encrypt(vault_text(self._proposal.values))
            effects.do(
                step.id,
                "store the encrypted vault",
                lambda: workshop.kv.write_fields(workshop.home_path, {"file": text}, replaces=self._proposal.replaces),
            )

        return Action(step, self._look_home, do)

    @property
    def _homed(self) -> str:
        return f"{len(self._proposal.values)} variables, encrypted"

    def _look_home(self) -> str:
        home = self._workshop.home()
        if home is None:
            return ABSENT
        return self._homed if self._workshop.opened(home.values["file"]) == self._proposal.values else OTHER

    def _restore(self) -> Action:
        workshop = self._workshop
        step = Step(
            "vault.restored", f"store path {workshop.home_path}", "nobody has restored it", "restored and compared"
        )

        def do(effects: Effects) -> None:
            home = workshop.home()
            if home is None or workshop.opened(home.values["file"]) != self._proposal.values:
                raise Problem(f"What {workshop.home_path} gives back is not the vault that was stored there.")
            note = {RESTORED: str(home.version)}
            effects.do(step.id, "note that it was restored", lambda: workshop.kv.note(workshop.home_path, note))

        return Action(step, self._look_restored, do)

    def _look_restored(self) -> str:
        home = self._workshop.home()
        restored = self._workshop.kv.notes(self._workshop.home_path).get(RESTORED)
        return "restored and compared" if home and restored == str(home.version) else "nobody has restored it"

    def _push(self, before: str) -> Action:
        workshop, migration = self._workshop, self._proposal.migration
        counts = Counter(place.path for place in migration.places)
        files = ", ".join(f"{path} {count}" for path, count in sorted(counts.items()))
        step = Step(
            "branch.push",
            f"branch {BRANCH} with {len(migration.places)} references in {len(counts)} files ({files})",
            before,
            self._proposed,
        )

        def look() -> str:
            return self._look_branch(build(workshop, self._proposal))

        def do(effects: Effects) -> None:
            prove(workshop, self._proposal)
            commit, replaced = build(workshop, self._proposal), workshop.clone.commit_of(BRANCH)
            if commit is None:
                raise Problem("The vault is not in the store yet, so nothing can be proposed.")
            effects.do(step.id, "push one commit", lambda: workshop.clone.push(commit, BRANCH, replaces=replaced))

        return Action(step, look, do)

    @property
    def _proposed(self) -> str:
        return f"one commit on {self._proposal.base[:12]}"

    def _look_branch(self, wanted: str | None) -> str:
        clone = self._workshop.clone
        found = clone.commit_of(BRANCH)
        if found is None:
            return ABSENT
        if found == wanted:
            return self._proposed
        clone.fetch(BRANCH)
        ours = self._workshop.author.partition("<")[2].rstrip(">")
        commits = clone.commits_between(self._proposal.base, found)
        return EARLIER if len(commits) <= 1 and all(who == ours for _, who in commits) else STRANGERS
