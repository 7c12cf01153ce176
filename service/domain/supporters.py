"""People, known by an e-mail address."""

import datetime
import uuid

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from schemas.enums import SuppressionReason
from service.db.base import new_id
from service.db.keyring import Keyring
from service.db.models.email import DevOutboxEmail
from service.db.models.payment import GatewayEvent
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.db.types import get_keyring
from service.db.upsert import insert_or_lock
from service.domain.email.suppression import suppress


def session_keyring(session: Session) -> Keyring:
    """Return the keys of the database that this session talks to."""
    return get_keyring(session.get_bind().dialect)


def lock_supporter_by_email(session: Session, address: str) -> uuid.UUID | None:
    """Return the id of the person with this normalised address, whichever key hashed it.

    The row cannot be deleted until the transaction ends, so that what is about to point at it may.
    """
    query = _by_email(session, address).limit(1)
    return session.scalar(query.with_for_update(read=True, key_share=True))


def _by_email(session: Session, address: str) -> Select[uuid.UUID]:
    # Only the id is read: a stored address that does not open must not keep its reader from asking or leaving.
    hashes = session_keyring(session).lookup_hashes(address)
    return select(Supporter.id).where(Supporter.email_hash.in_(hashes)).order_by(Supporter.id)


def get_or_create_supporter(session: Session, address: str, *, now: datetime.datetime) -> uuid.UUID:
    """Return the id of the person with this normalised address, making them known if they are not yet.

    Two requests at once agree on one person: the hash is unique, and the second to insert takes the first's row.
    """
    current, *older = session_keyring(session).lookup_hashes(address)
    # While keys change, an older one may have hashed the address to what the INSERT would not run into.
    known = lock_supporter_by_email(session, address) if older else None
    if known is not None:
        return known
    row = {"id": new_id(), "email": address, "email_hash": current, "created_at": now}
    return insert_or_lock(session, Supporter, row, unique="email_hash")


def erase_supporter(session: Session, address: str, *, now: datetime.datetime) -> tuple[int, int]:
    """Forget a person: their address, their reminders and the mails kept for them.

    Pledges stay for the books, without a link to anyone. What stays of the address is a keyed hash that keeps a
    sign-up that was on its way from being mailed; asking again later takes it back. Returns how many pledges were
    unlinked and how many reminders were deleted. Asked for by the GDPR's article 17.
    """
    suppress(session, address, reason=SuppressionReason.ERASURE, now=now)
    session.execute(
        delete(DevOutboxEmail).where(
            DevOutboxEmail.recipient_hash.in_(session_keyring(session).lookup_hashes(address))
        )
    )
    # More than one row only while keys change, when two processes with different first keys met the same reader.
    supporter_ids = session.scalars(_by_email(session, address)).all()
    reminders = session.scalar(
        select(func.count()).select_from(Reminder).where(Reminder.supporter_id.in_(supporter_ids))
    )
    pledges = session.scalar(
        select(func.count()).select_from(Pledge).where(Pledge.supporter_id.in_(supporter_ids))
    )
    # What the gateway told us of their pledges names them as well.
    pledge_ids = select(Pledge.id).where(Pledge.supporter_id.in_(supporter_ids))
    session.execute(update(GatewayEvent).where(GatewayEvent.pledge_id.in_(pledge_ids)).values(payload=None))
    session.execute(update(Pledge).where(Pledge.supporter_id.in_(supporter_ids)).values(supporter_id=None))
    # Deleting the reminders would empty this as well, but only after it holds the person: whoever settles a gift
    # holds the pledge first, and the two would wait for one another.
    reminder_ids = select(Reminder.id).where(Reminder.supporter_id.in_(supporter_ids))
    session.execute(update(Pledge).where(Pledge.reminder_id.in_(reminder_ids)).values(reminder_id=None))
    session.execute(delete(Supporter).where(Supporter.id.in_(supporter_ids)))
    return pledges or 0, reminders or 0
