"""The session cookie of a signed-in supporter: a random 256-bit token."""

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
    """Return the cookie's name. Over HTTPS its prefix binds it to this host (RFC 6265bis)."""
    return f"__Host-{COOKIE_NAME}" if _is_secure() else COOKIE_NAME


def session_token() -> str | None:
    """Return the token in the request's cookie, unverified."""
    return request.cookies.get(cookie_name())


def current_supporter_id(session: Session) -> uuid.UUID | None:
    """Return the id of the signed-in supporter; None without a valid session."""
    return supporter_for_session(session, session_token(), now=current_container().clock())


def set_session_cookie(response: Response, token: str) -> None:
    """Set the cookie for as long as the session lasts."""
    response.set_cookie(
        cookie_name(),
        token,
        max_age=SESSION_TTL,
        path="/",
        secure=_is_secure(),
        httponly=True,
        samesite="Lax",
    )


def clear_session_cookie(response: Response) -> None:
    response.delete_cookie(cookie_name(), path="/", secure=_is_secure(), httponly=True, samesite="Lax")
