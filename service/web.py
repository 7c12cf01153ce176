"""What a view may reach: the desk of the app that serves the request, and the two doors to its database."""

from contextlib import AbstractContextManager
from typing import cast

from flask import Flask, current_app, request
from sqlalchemy.orm import Session

from service.desk import Desk

EXTENSION = "mainstay"


def put_desk(app: Flask, desk: Desk) -> None:
    """Give an app its desk."""
    app.extensions[EXTENSION] = desk


def current_desk() -> Desk:
    """Return the desk of the app that serves the current request."""
    return cast("Desk", current_app.extensions[EXTENSION])


def transaction() -> AbstractContextManager[Session]:
    """Open a transaction that commits at the end of its block."""
    return current_desk().database.transaction()


def reading() -> AbstractContextManager[Session]:
    """Open a session that cannot change anything."""
    return current_desk().database.reading()


def count_request(action: str) -> None:
    """Count this request against its client's limit; the client is the network address that sent it.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    current_desk().throttle.check(action, request.remote_addr or "unknown")
