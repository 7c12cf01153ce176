"""Attribution of pledges to the reminders that led to them."""

import datetime
import uuid
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import PledgeStatus
from service.db.keyring import Keyring
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.tokens import InvalidToken, issue_token, verify_token

# Unlike the token of the reader's own link, this one may show in an address bar: it grants no access.
TOKEN_PURPOSE = "gift"  # noqa: S105 - the purpose of a token is no secret
# About the retention of a finished reminder.
TOKEN_TTL = datetime.timedelta(days=400)
GIVER_PURPOSE = "giver"
IDENTITY_TTL = datetime.timedelta(days=30)
CONVERTED_STATUSES = (PledgeStatus.COMPLETED, PledgeStatus.ACTIVE)


def attribution_token(keyring: Keyring, reminder: Reminder) -> str:
    """Return the token by which a support page attributes a pledge to this reminder. It grants no access."""
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=reminder.id, expires_at=reminder.due_at + TOKEN_TTL)


def attributed_reminder_id(
    session: Session, keyring: Keyring, token: str | None, *, campaign_id: uuid.UUID, now: datetime.datetime
) -> uuid.UUID | None:
    """Return the id of the reminder that led to a pledge, locked so that it cannot be deleted in this transaction.

    None without a token, for an invalid one, and for a reminder that is deleted or of another campaign: a failed
    attribution never refuses a pledge.
    """
    if token is None:
        return None
    try:
        reminder_id = verify_token(keyring, purpose=TOKEN_PURPOSE, token=token, now=now)
    except InvalidToken:
        return None
    query = select(Reminder.id).where(Reminder.id == reminder_id, Reminder.campaign_id == campaign_id)
    return session.scalar(query.with_for_update(read=True, key_share=True))


def giver_token(keyring: Keyring, pledge: Pledge, *, now: datetime.datetime) -> str:
    """Return the token by which a support page knows who gave this pledge and gives again. It grants no access."""
    return issue_token(keyring, purpose=GIVER_PURPOSE, subject=pledge.id, expires_at=now + IDENTITY_TTL)


def supporter_for_token(
    session: Session, keyring: Keyring, token: str | None, *, now: datetime.datetime
) -> uuid.UUID | None:
    """Return the supporter whose link leads to a support page; None for an invalid token or an old one.

    We sent the link to this supporter's address, or showed it on a page behind such a link. It may show in an
    address bar and be passed on from there, so it identifies a supporter for `IDENTITY_TTL` only.
    """
    if token is None:
        return None
    with suppress(InvalidToken):
        reminder_id = verify_token(keyring, purpose=TOKEN_PURPOSE, token=token, now=now)
        is_recent = Reminder.due_at > now - IDENTITY_TTL
        return session.scalar(select(Reminder.supporter_id).where(Reminder.id == reminder_id, is_recent))
    with suppress(InvalidToken):
        pledge_id = verify_token(keyring, purpose=GIVER_PURPOSE, token=token, now=now)
        return session.scalar(select(Pledge.supporter_id).where(Pledge.id == pledge_id))
    return None


def attribution_token_for(session: Session, keyring: Keyring, pledge: Pledge) -> str | None:
    """Return the token for repeating this pledge on the support page; None if no reminder led to it."""
    reminder = session.get(Reminder, pledge.reminder_id) if pledge.reminder_id is not None else None
    return attribution_token(keyring, reminder) if reminder is not None else None


def count_conversions(session: Session) -> int:
    """Return how many paid pledges came from a reminder that is still stored."""
    query = select(func.count()).select_from(Pledge)
    return session.scalar(query.where(Pledge.reminder_id.is_not(None), Pledge.status.in_(CONVERTED_STATUSES))) or 0
