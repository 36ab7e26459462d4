"""Trouble that is expected: a service away, a refused plan. Everything else that is raised is a fault in the code."""

from __future__ import annotations


class Problem(Exception):
    """Something stands in the way; trying again later may help.

    Its text is one sentence for people and safe to show everywhere: it holds no secret.
    """


class Refusal(Problem):
    """Trying again as it is cannot help: somebody has to decide or mend something first."""
