"""What a service answers to a login by basic authentication."""

from __future__ import annotations

import base64
import http.client
from urllib.parse import urlsplit

TIMEOUT = 5.0  # seconds


def ask(method: str, url: str, username: str, password: str) -> str:
    """An HTTP status, or why there was none."""
    login = base64.b64encode(f"{username}:{password}".encode()).decode()
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request(method, parts.path, headers={"Authorization": f"Basic {login}"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {type(error).__name__}"
    finally:
        connection.close()
