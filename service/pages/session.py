"""The session's cookie: 256 random bits that only our own pages over this connection are ever sent."""

import uuid

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from service.domain.sign_in.sessions import SESSION_TTL, supporter_for_session
from service.web import current_container

NAME = "mainstay_reader"


def _is_secure() -> bool:
    return current_container().urls.public_url.startswith("https://")


def cookie_name() -> str:
    """Return the cookie's name; the prefix has browsers take it from this very host alone (RFC 6265bis)."""
    return f"__Host-{NAME}" if _is_secure() else NAME


def session_secret() -> str | None:
    """Return the secret that the request brings, whatever it is worth."""
    return request.cookies.get(cookie_name())


def reader_in(session: Session) -> uuid.UUID | None:
    """Return the supporter who is signed in; None if nobody is."""
    return supporter_for_session(session, session_secret(), now=current_container().clock())


def keep_signed_in(response: Response, secret: str) -> None:
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


def forget_session(response: Response) -> None:
    """Have the browser throw the secret away."""
    response.delete_cookie(cookie_name(), path="/", secure=_is_secure(), httponly=True, samesite="Lax")
