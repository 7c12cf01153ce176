"""Limits on the emails that anyone can cause to one mailbox by typing its address into a form.

`jane+a@` and `jane+b@` usually reach the mailbox of `jane@`, so they are counted together. That is for counting
only: they remain different people. The counts are in the database, so they hold for all processes.
"""

import datetime
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, or_
from sqlalchemy.orm import Session

from service.db.models.email import ALL_CAMPAIGNS, MailboxLimit
from service.db.session import session_keyring
from service.db.upsert import insert_into
from service.domain.email.addresses import fold_address

HASH_CONTEXT = "mailbox limit"


@dataclass(frozen=True)
class Limit:
    """At most `most` times in a `window`, and not twice within `spacing`.

    Beyond `most`, once in `trickle` all the same, so that nobody can use up the limit of someone else.
    """

    action: str
    most: int
    window: datetime.timedelta
    spacing: datetime.timedelta = datetime.timedelta(0)
    trickle: datetime.timedelta | None = None


# The request to confirm a reminder, for a campaign that asks for one.
CONFIRMATION = Limit("confirmation", 3, datetime.timedelta(days=30), datetime.timedelta(hours=1))
# The request to confirm a reminder that an unsubscribed reader is said to want again.
RESUBSCRIPTION = Limit("resubscription", 1, datetime.timedelta(days=30))
# A reminder for an address with a plus part: nearly every mailbox has any number of these.
PLUS_ADDRESS = Limit("plus_address", 5, datetime.timedelta(days=30))
# A link is valid for 15 minutes. With one in ten minutes, the owner always has a valid one or gets it.
SIGN_IN = Limit("sign_in", 5, datetime.timedelta(hours=1), trickle=datetime.timedelta(minutes=10))
EMAIL_CHANGE = Limit("email_change", 5, datetime.timedelta(hours=1), trickle=datetime.timedelta(minutes=10))
ERASURE = Limit("erasure", 5, datetime.timedelta(hours=1), trickle=datetime.timedelta(minutes=10))
# No limit: a sign-up that has none is counted all the same, so that every sign-up does the same work.
SIGN_UP = Limit("sign_up", 1_000_000_000, datetime.timedelta(days=1))
LONGEST_WINDOW = datetime.timedelta(days=30)


def mailbox_of(address: str) -> str:
    """Return the folded address without its plus part; it is for counting and never for sending."""
    local, at, domain = fold_address(address).rpartition("@")
    # An address such as "+x@" has no name before the plus, so the whole is the name.
    return f"{local.partition('+')[0] or local}{at}{domain}"


def take_slot(
    session: Session, address: str, limit: Limit, *, now: datetime.datetime, scope: str = ALL_CAMPAIGNS
) -> bool:
    """Count one email to the mailbox of an address; return False, and count nothing, if that exceeds the limit.

    One statement checks and counts, so two processes cannot both take the last slot.
    """
    connection = session.connection()
    row = {
        "mailbox_hash": session_keyring(session).lookup_hash(f"{HASH_CONTEXT} {mailbox_of(address)}"),
        "action": limit.action,
        "scope": scope,
        "count": 1,
        "window_started_at": now,
        "last_at": now,
        "most": limit.most,
        "window_over": now - limit.window,
        "spaced": now - limit.spacing,
        # Nothing is before an instant that is NULL.
        "trickled": None if limit.trickle is None else now - limit.trickle,
    }
    return connection.execute(_count_statement(connection.dialect.name), row).first() is not None


@cache
def _count_statement(database: str) -> Any:
    """Return the statement of `take_slot`, built once, because building it takes longer than running it."""
    statement, table = insert_into(database, MailboxLimit), MailboxLimit.__table__.c
    most = bindparam("most", type_=table["count"].type)
    window_over, spaced, trickled = (
        bindparam(name, type_=table.last_at.type) for name in ("window_over", "spaced", "trickled")
    )
    new, is_over = statement.excluded, table.window_started_at <= window_over
    is_allowed = or_(is_over, and_(table["count"] < most, table.last_at <= spaced), table.last_at <= trickled)
    return statement.on_conflict_do_update(
        index_elements=[table.mailbox_hash, table.action, table.scope],
        set_={
            "count": case((is_over, 1), else_=table["count"] + 1),
            "window_started_at": case((is_over, new.window_started_at), else_=table.window_started_at),
            "last_at": new.last_at,
        },
        where=is_allowed,
    ).returning(table["count"])


def purge_mailbox_limits(session: Session, *, now: datetime.datetime) -> None:
    """Delete the counts whose window has passed."""
    statement = delete(MailboxLimit).where(MailboxLimit.last_at <= now - LONGEST_WINDOW)
    session.execute(statement.execution_options(synchronize_session=False))
