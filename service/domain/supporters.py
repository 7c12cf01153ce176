"""Supporters, identified by their email address: finding, creating and erasing them."""

import datetime
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.orm import Session

from schemas.enums import SuppressionReason
from service.db.base import new_id
from service.db.keyring import DecryptionError
from service.db.models.email import DevOutboxEmail
from service.db.models.email_change import EmailChange
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.supporter import HASH_VERSION, Supporter
from service.db.session import session_keyring
from service.db.upsert import insert_or_lock
from service.domain.email.addresses import address_hashes
from service.domain.email.suppression import suppress
from service.domain.errors import SupporterNotFound
from service.domain.event_addresses import erase_event_payloads


@dataclass(frozen=True, kw_only=True)
class ErasedData:
    """What an erasure found: the number of unlinked pledges and of deleted reminders."""

    found: bool
    pledges: int
    reminders: int


def lock_supporter_by_email(session: Session, address: str) -> uuid.UUID | None:
    """Return the id of the supporter with this address; None if there is none.

    Addresses are compared in their folded form, whichever key hashed it.

    The lock keeps the row from being deleted in this transaction, so that a new row may refer to it.
    """
    query = _by_email(session, address).limit(1)
    return session.scalar(query.with_for_update(read=True, key_share=True))


def supporter_ids_for(session: Session, address: str) -> Sequence[uuid.UUID]:
    """Return the ids of the supporters with this address; more than one during a key rotation or a deployment."""
    return session.scalars(_by_email(session, address)).all()


def get_or_create_supporter(session: Session, address: str, *, now: datetime.datetime) -> uuid.UUID:
    """Return the id of the supporter with this normalised address; create the supporter if there is none.

    A supporter keeps the address as first typed: a sign-up by anyone must not redirect another's email.
    Concurrent requests agree on one row: the hash is unique, and the second insert returns the first one's row.
    """
    current, *older = address_hashes(session_keyring(session), address)
    # An older key, or the release before, may have hashed the address differently, so that the INSERT would not
    # conflict.
    existing = lock_supporter_by_email(session, address) if older else None
    if existing is not None:
        return existing
    row = {
        "id": new_id(),
        "email": address,
        "email_hash": current,
        "hash_version": HASH_VERSION,
        "created_at": now,
    }
    return insert_or_lock(session, Supporter, row, unique="email_hash")


@dataclass(frozen=True, kw_only=True)
class SupporterSummary:
    """What staff see of a supporter: how many pledges and reminders they have, and which. Never the address."""

    id: uuid.UUID
    created_at: datetime.datetime
    email_changed_at: datetime.datetime | None
    pledges: int
    reminders: int
    pledge_ids: list[uuid.UUID]
    reminder_ids: list[uuid.UUID]


def find_supporters(session: Session, address: str) -> list[SupporterSummary]:
    """Return the supporters with this address: one or none, or two for a moment while keys are rotated."""
    return [
        summarise_supporter(session, supporter_id) for supporter_id in session.scalars(_by_email(session, address))
    ]


def summarise_supporter(session: Session, supporter_id: uuid.UUID) -> SupporterSummary:
    """Return a supporter's pledges and reminders, oldest first.

    Raises:
        SupporterNotFound: no supporter has this id.
    """
    columns = select(Supporter.created_at, Supporter.email_changed_at).where(Supporter.id == supporter_id)
    row = session.execute(columns).first()
    if row is None:
        raise supporter_not_found()
    pledge_ids, reminder_ids = (
        list(session.scalars(select(table.id).where(table.supporter_id == supporter_id).order_by(table.id)))
        for table in (Pledge, Reminder)
    )
    return SupporterSummary(
        id=supporter_id,
        created_at=row.created_at,
        email_changed_at=row.email_changed_at,
        pledges=len(pledge_ids),
        reminders=len(reminder_ids),
        pledge_ids=pledge_ids,
        reminder_ids=reminder_ids,
    )


def find_other_supporter(session: Session, address: str, supporter_id: uuid.UUID) -> uuid.UUID | None:
    """Return the id of another supporter than this one with this address; None if there is none."""
    return session.scalar(_by_email(session, address).where(Supporter.id != supporter_id).limit(1))


def lock_supporter(session: Session, supporter_id: uuid.UUID) -> None:
    """Lock a supporter until the transaction ends.

    Raises:
        SupporterNotFound: no supporter has this id.
    """
    query = select(Supporter.id).where(Supporter.id == supporter_id).with_for_update()
    if session.scalar(query) is None:
        raise supporter_not_found()


def lock_with_pledges(session: Session, supporter_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Lock the pledges of supporters, and then the supporters; return the ids of those that exist.

    A payment locks its pledge before the supporter, and a sign-up locks the supporter before the reminder. A
    transaction that changes several of these rows takes the locks in this order too, and those of one table in the
    order of ids.
    """
    for table, owner in ((Pledge, Pledge.supporter_id), (Supporter, Supporter.id)):
        query = select(table.id).where(owner.in_(supporter_ids)).order_by(table.id).with_for_update()
        locked = session.scalars(query).all()
    return set(locked)


def supporter_not_found() -> SupporterNotFound:
    return SupporterNotFound("No supporter has this id.")


def get_address(session: Session, supporter_id: uuid.UUID) -> str | None:
    """Return a supporter's address; None without a supporter, or if no key decrypts it."""
    try:
        return session.scalar(select(Supporter.email).where(Supporter.id == supporter_id))
    except DecryptionError:
        return None


def erase_supporter(session: Session, address: str, *, now: datetime.datetime) -> ErasedData:
    """Erase a supporter (GDPR, article 17): the address, the reminders and the stored emails.

    Pledges stay for accounting, without a supporter. A keyed hash of the address stays in the suppression list, so
    that no email leaves for a sign-up in flight; a reader who signs up later has to confirm.
    """
    suppress(session, address, reason=SuppressionReason.ERASURE, now=now)
    hashes = address_hashes(session_keyring(session), address)
    session.execute(delete(DevOutboxEmail).where(DevOutboxEmail.recipient_hash.in_(hashes)))
    # Another supporter may have asked for this address, or have had it before.
    session.execute(
        delete(EmailChange).where(
            or_(EmailChange.new_email_hash.in_(hashes), EmailChange.old_email_hash.in_(hashes))
        )
    )
    # The events come first: one that is being applied may create the supporter, and is waited for here.
    erase_event_payloads(
        session,
        address,
        select(Pledge.id).where(Pledge.supporter_id.in_(_by_email(session, address).order_by(None))),
        now=now,
    )
    # During a key rotation, processes with different current keys may have created two rows for one address.
    supporter_ids = supporter_ids_for(session, address)
    reminders = session.scalar(
        select(func.count()).select_from(Reminder).where(Reminder.supporter_id.in_(supporter_ids))
    )
    pledges = session.scalar(
        select(func.count()).select_from(Pledge).where(Pledge.supporter_id.in_(supporter_ids))
    )
    erased = session.scalars(
        update(Pledge)
        .where(Pledge.supporter_id.in_(supporter_ids))
        # The gateway's page of an invoice shows the name and the address of its payer.
        .values(supporter_id=None, erased_at=now, open_invoice_url=None)
        .returning(Pledge.id)
    ).all()
    session.execute(update(Payment).where(Payment.pledge_id.in_(erased)).values(method_last4=None))
    # Deleting the supporter would set this to NULL too, but after locking the supporter. A payment locks the
    # pledge first, so the two transactions would deadlock.
    reminder_ids = select(Reminder.id).where(Reminder.supporter_id.in_(supporter_ids))
    session.execute(update(Pledge).where(Pledge.reminder_id.in_(reminder_ids)).values(reminder_id=None))
    session.execute(delete(Supporter).where(Supporter.id.in_(supporter_ids)))
    return ErasedData(found=bool(supporter_ids), pledges=pledges or 0, reminders=reminders or 0)


def _by_email(session: Session, address: str) -> Select[uuid.UUID]:
    # Only the id is selected, so that an address that cannot be decrypted does not block its supporter.
    hashes = address_hashes(session_keyring(session), address)
    return select(Supporter.id).where(Supporter.email_hash.in_(hashes)).order_by(Supporter.id)
