"""The session's cookie: 256 random bits that only our own pages over this connection are ever sent."""

import uuid

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from service.domain.sign_in import SESSION_TTL, supporter_for_session
from service.web import current_container

COOKIE_NAME = "mainstay_reader"


def _is_secure() -> bool:
    return current_container().urls.public_url.startswith("https://")


def cookie_name() -> str:
    """Return the cookie's name; the prefix has browsers take it from this very host alone (RFC 6265bis)."""
    return f"__Host-{COOKIE_NAME}" if _is_secure() else COOKIE_NAME


def session_token() -> str | None:
    """Return the secret that the request brings, whatever it is worth."""
    return request.cookies.get(cookie_name())


def current_supporter_id(session: Session) -> uuid.UUID | None:
    """Return the supporter who is signed in; None if nobody is."""
    return supporter_for_session(session, session_token(), now=current_container().clock())


def set_session_cookie(response: Response, secret: str) -> None:
    """Give the browser the session's secret for as long as it is good."""
    response.set_cookie(
        cookie_name(),
        secret,
        max_age=SESSION_TTL,
        path="/",
        secure=_is_secure(),
        httponly=True,
        samesite="Lax",
    )


def clear_session_cookie(response: Response) -> None:
    """Have the browser throw the secret away."""
    response.delete_cookie(cookie_name(), path="/", secure=_is_secure(), httponly=True, samesite="Lax")
