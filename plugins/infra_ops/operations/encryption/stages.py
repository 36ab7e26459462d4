"""The steps from list to list: all servers take one list before any of them takes the next."""

from __future__ import annotations

from dataclasses import replace

from infra_ops.checks.encryption import loading
from infra_ops.clients.effects import Effects
from infra_ops.models.encryption import NONE, Providers, Way, words
from infra_ops.models.plans import Step
from infra_ops.operations.actions import Action
from infra_ops.operations.encryption.estate import Estate


def taken(estate: Estate, way: Way, place: int, name: str) -> list[Action]:
    """The steps, one a server, from the list at `place` of the way to the one after it. They lead back, too."""
    return [_taken(estate, way, place, name, server) for server in estate.servers.names]


def with_rests(estate: Estate, action: Action) -> Action:
    """The same for taking back. A server is not back yet when it has no list any more, but still its keys, and when it
    has not taken over what its file says: whoever waited for that would wait for ever where that is what failed.
    """
    server = action.step.id.partition(".")[2]

    def look() -> str:
        seen = estate.glance(server)
        keys_lie_about = action.step.before == words(NONE) and (seen.file or seen.drop_in)
        return action.step.after if keys_lie_about or loading(seen) else action.look()

    return replace(action, look=look)


def _taken(estate: Estate, way: Way, place: int, name: str, server: str) -> Action:
    before, after = way.stages[place], way.stages[place + 1]
    step = Step(f"{name}.{server}", f"the encryption of {server}", words(before), words(after))

    def look() -> str:
        """Every later list of the way counts as after, every earlier one as before: all servers need not be in step."""
        seen = estate.seen(server)
        state = estate.judge(seen)
        if isinstance(state, str) or state not in way:
            return state if isinstance(state, str) else words(state)
        reached = way.stages.index(state) > place
        if reached and after == NONE and (seen.file or seen.drop_in):
            return step.before  # the keys still lie about
        return step.after if reached else step.before

    def bring(to: Providers, effects: Effects) -> None:
        estate.bring(server, to, lambda what, call: effects.do(step.id, what, call))

    return Action(step, look, lambda effects: bring(after, effects), lambda effects: bring(before, effects))
