"""The lock on the staff's doors: a bearer token (RFC 6750) with the scope that the door asks for."""

import datetime
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import g, request
from sqlalchemy.orm import Session

from schemas.vocabulary import Scope
from service.api.blueprint import ResourceBlueprint
from service.api.problems import HTTP_CODES, Refusal
from service.db.staff_token import StaffToken
from service.domain.staff import authenticate_token, write_audit_entry
from service.web import read_only

View = TypeVar("View", bound=Callable[..., Any])


def staff_only(scope: Scope) -> Callable[[View], View]:
    """Let only staff with this scope reach a view."""

    def lock(view: View) -> View:
        @wraps(view)
        def locked(*args: Any, **kwargs: Any) -> Any:
            require_scope(scope)
            return view(*args, **kwargs)

        locked.staff_scope = scope  # type: ignore[attr-defined]  # a test reads which lock each door has
        described: View = ResourceBlueprint.doc(security=[{"staff": []}])(locked)
        return described

    return lock


def require_scope(scope: Scope) -> None:
    """Refuse the request unless it bears a token with this scope.

    Raises:
        Refusal: 401 without a good token, 403 without the scope.
    """
    token = _token()
    if token is None:
        raise Refusal(401, *HTTP_CODES[401], {"WWW-Authenticate": 'Bearer realm="mainstay"'})
    if scope not in token.scopes:
        raise Refusal(403, "scope_missing", f"This token lacks the scope '{scope}'.")
    g.actor = f"token {token.name} ({token.id})"


def _token() -> StaffToken | None:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text:
        return None
    with read_only() as session:
        return authenticate_token(session, text.strip())


def audit(session: Session, action: str, details: dict[str, Any], *, now: datetime.datetime) -> None:
    """Write down what the staff member of this request does; `details` must hold nothing personal."""
    write_audit_entry(session, actor=g.actor, action=action, details=details, now=now)
