"""What a form has just done, in the URL that a reader is redirected to.

It is signed, so that no link from elsewhere makes a page say what did not happen. It is valid for one path, one
session and an hour.
"""

import datetime
import hashlib
import uuid
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from flask import request

from service.domain.tokens import InvalidToken, issue_token, verify_token
from service.pages.session_cookie import session_token
from service.web import current_container

PURPOSE: Final = "outcome of a form"
TTL: Final = datetime.timedelta(hours=1)
SIGNATURE: Final = "signed"


def outcome_url(
    path: str, said: Mapping[str, str | None], *, lang: str | None = None, ends_session: bool = False
) -> str:
    """Return the path with what is said in its query string, signed, and the language of the request or `lang`."""
    query = {name: value for name, value in said.items() if value}
    if query:
        container = current_container()
        signature = issue_token(
            container.database.keyring,
            purpose=PURPOSE,
            subject=_subject(path, query, "" if ends_session else session_token()),
            expires_at=container.clock() + TTL,
        )
        query = {SIGNATURE: signature} | query
    if lang := lang or request.args.get("lang"):
        query["lang"] = lang
    return f"{path}?{urlencode(query)}" if query else path


def outcome() -> Mapping[str, str]:
    """Return the outcome in the URL of the request; empty if we have not signed it."""
    container = current_container()
    said = {name: value for name, value in request.args.items() if name not in (SIGNATURE, "lang")}
    try:
        subject = verify_token(
            container.database.keyring,
            purpose=PURPOSE,
            token=request.args.get(SIGNATURE, ""),
            now=container.clock(),
        )
    except InvalidToken:
        return {}
    return said if subject == _subject(request.path, said, session_token()) else {}


def _subject(path: str, said: Mapping[str, str], session: str | None) -> uuid.UUID:
    content = [path, session or "", *(f"{name}={value}" for name, value in sorted(said.items()))]
    return uuid.UUID(bytes=hashlib.sha256("\n".join(content).encode()).digest()[:16])
