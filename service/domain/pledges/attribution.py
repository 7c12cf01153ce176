"""Which reminder brought a reader back to give."""

import datetime
import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import PledgeStatus
from service.db.keyring import Keyring
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.tokens import InvalidToken, issue_token, verify_token

# Not that of the reader's own link: who gives may see this one in an address bar, and it opens nothing.
TOKEN_PURPOSE = "gift"  # noqa: S105 - the purpose of a token is no secret
# A finished reminder is kept for about as long.
TOKEN_TTL = datetime.timedelta(days=400)
CONVERTED_STATUSES = (PledgeStatus.COMPLETED, PledgeStatus.ACTIVE)


def attribution_token(keyring: Keyring, reminder: Reminder) -> str:
    """Return what a gift page is told, so that the gift is known to come from this reminder; it opens nothing."""
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=reminder.id, expires_at=reminder.due_at + TOKEN_TTL)


def attributed_reminder_id(
    session: Session, keyring: Keyring, token: str | None, *, campaign_id: uuid.UUID, now: datetime.datetime
) -> uuid.UUID | None:
    """Return the reminder that a gift came from, held so that it cannot go before the gift is written down.

    None if there was none, or if the token is no good, or its reminder is gone or of another campaign: no gift is
    ever refused because we cannot tell where it came from.
    """
    if token is None:
        return None
    try:
        reminder_id = verify_token(keyring, purpose=TOKEN_PURPOSE, token=token, now=now)
    except InvalidToken:
        return None
    wanted = select(Reminder.id).where(Reminder.id == reminder_id, Reminder.campaign_id == campaign_id)
    return session.scalar(wanted.with_for_update(read=True, key_share=True))


def attribution_token_for(session: Session, keyring: Keyring, pledge: Pledge) -> str | None:
    """Return what the gift page is told when this gift is made again; None if no reminder led to it."""
    reminder = session.get(Reminder, pledge.reminder_id) if pledge.reminder_id is not None else None
    return attribution_token(keyring, reminder) if reminder is not None else None


def count_conversions(session: Session) -> int:
    """Return how many gifts that were given came from a reminder that is still kept."""
    given = select(func.count()).select_from(Pledge)
    return session.scalar(given.where(Pledge.reminder_id.is_not(None), Pledge.status.in_(CONVERTED_STATUSES))) or 0
