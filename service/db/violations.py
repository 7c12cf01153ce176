"""Telling which constraint refused a row."""

from sqlalchemy.exc import IntegrityError


def constraint_name(error: IntegrityError) -> str | None:
    """Return the name of the constraint that PostgreSQL says was violated.

    SQLite names none; there a writer holds the whole database, so that no other can come between
    its look and its insert.
    """
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)
