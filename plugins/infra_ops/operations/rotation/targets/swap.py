"""Services that know one password at a time: the new one counts at once, and with it the old one is dead.

So nothing happens before `switch`, where consumers get the new value in the same task. Which of the two values a
service takes is asked by logging in, first with the one that it probably takes: most of them count wrong logins.
Facts: security-and-backup 2.2 to 2.6.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from infra_ops.clients.effects import Effects
from infra_ops.models.credentials import Answer, Credential
from infra_ops.models.plans import Step
from infra_ops.models.problems import Problem, Refusal
from infra_ops.operations.actions import Action
from infra_ops.operations.rotation.targets.target import Change, Target


class Undecided(Problem):
    """The service does not say which password it takes."""


class NoneAccepted(Refusal):
    """The service refuses every stored password. Some answer so while they lock a user, so this says nothing about what
    was done: a run that took back the stored value now might throw away the only one that works.
    """


class Swap(Target):
    """A service is this class with `log_in` and `set_password`, and what else is different with it."""

    overlaps = False
    _taken: Credential | None = None  # what it took when it was asked last, which it probably takes still

    @abstractmethod
    def set_password(self, login: Credential, new: Credential) -> None:
        """Give the user of `new` its password. `login` is what the service takes now. Raises Problem."""

    def switch(self, change: Change) -> Sequence[Action]:
        step = Step(
            f"{change.credential_id}.set",
            self.where,
            before=f"accepts {change.old_version}",
            after=f"accepts {change.new_version}",
        )

        def look() -> str:
            new = change.find_new()
            candidates = [(step.before, change.old.credential)]
            if new:
                candidates.insert(0 if change.tried() else 1, (step.after, new))
            return self._accepts(candidates)

        def do(effects: Effects) -> None:
            effects.do(step.id, "note that the new password is being set", change.note_try)
            effects.do(step.id, "set the new password", lambda: self._set(change.old.credential, change.new()))

        def undo(effects: Effects) -> None:
            effects.do(step.id, "set the old password again", lambda: self._set(change.new(), change.old.credential))

        return [Action(step, look, do, undo)]

    def _set(self, login: Credential, new: Credential) -> None:
        self.set_password(login, new)
        self._taken = new

    def _accepts(self, candidates: list[tuple[str, Credential]]) -> str:
        for state, credential in sorted(candidates, key=lambda each: each[1] != self._taken):
            login = self.log_in(credential.username, credential.password)
            if login.answer is Answer.ACCEPTED:
                self._taken = credential
                return state
            if login.answer is Answer.UNREACHABLE:
                raise Undecided(f"{self.where} does not say which password it takes ({login.code}); try again later.")
        raise NoneAccepted(
            f"{self.where} refuses every stored password: somebody changed it there, or it locks the user for a while "
            "after wrong logins. Wait some minutes, log in by hand, then run this again."
        )
