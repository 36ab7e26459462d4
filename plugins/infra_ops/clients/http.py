"""Plain HTTP services with basic authentication."""

from __future__ import annotations

import requests

from infra_ops.models.credentials import Answer, Login

SECONDS = 10


def log_in(url: str, username: str, password: str) -> Login:
    """One GET of `url` with basic authentication: 200 is accepted, 401 refused, anything else no answer to that."""
    try:
        response = requests.get(url, auth=(username, password), timeout=SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return Login(Answer.UNREACHABLE, type(error).__name__)
    answers = {200: Answer.ACCEPTED, 401: Answer.REFUSED}
    return Login(answers.get(response.status_code, Answer.UNREACHABLE), str(response.status_code))
