"""The lock on the staff's doors: a bearer token (RFC 6750) with the scope that the door asks for."""

import datetime
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import g, request
from sqlalchemy.orm import Session

from schemas.enums import Scope
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_PROBLEMS, ProblemException
from service.db.models.admin import StaffToken
from service.domain.staff import authenticate_token, write_audit_entry
from service.web import read_only

View = TypeVar("View", bound=Callable[..., Any])


def require_scope(scope: Scope) -> Callable[[View], View]:
    """Let only staff with this scope reach a view."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            authenticate_staff(scope)
            return view(*args, **kwargs)

        wrapper.staff_scope = scope  # type: ignore[attr-defined]  # a test reads which lock each door has
        described: View = ResourceBlueprint.doc(security=[{"staff": []}])(wrapper)
        return described

    return decorator


def authenticate_staff(scope: Scope) -> None:
    """Refuse the request unless it bears a token with this scope.

    Raises:
        Refusal: 401 without a good token, 403 without the scope.
    """
    token = _bearer_token()
    if token is None:
        raise ProblemException(401, *HTTP_PROBLEMS[401], {"WWW-Authenticate": 'Bearer realm="mainstay"'})
    if scope not in token.scopes:
        raise ProblemException(403, "scope_missing", f"This token lacks the scope '{scope}'.")
    g.actor = f"token {token.name} ({token.id})"


def _bearer_token() -> StaffToken | None:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text:
        return None
    with read_only() as session:
        return authenticate_token(session, text.strip())


def write_audit_log(session: Session, action: str, details: dict[str, Any], *, now: datetime.datetime) -> None:
    """Write down what the staff member of this request does; `details` must hold nothing personal."""
    write_audit_entry(session, actor=g.actor, action=action, details=details, now=now)
