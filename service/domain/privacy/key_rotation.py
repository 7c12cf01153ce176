"""Key rotation: encrypts and hashes all stored data with the first key of `SECRET_KEYS`.

It works in small transactions while other processes run, and can be stopped and restarted at any time: rows that
already use the first key are skipped. A value that no key decrypts is left unchanged and counted.
"""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_string
from email.message import EmailMessage
from email.policy import default as modern
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, delete, func, select, type_coerce, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.db.keyring import KEY_ID_BYTES, DecryptionError, Keyring
from service.db.models.email import MESSAGE_TYPE, DevOutboxEmail, Notification
from service.db.models.payment import PAYLOAD_TYPE, GatewayEvent
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.sign_in import SignIn
from service.db.models.supporter import EMAIL_TYPE, Supporter
from service.domain.email.suppression import count_unrotatable, rehash_to_current_key
from service.domain.ports import Clock, TransactionFactory
from service.domain.reminders.self_service import can_cancel, can_confirm
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import cancel, confirm
from service.domain.supporters import session_keyring

BATCH_SIZE = 100


@dataclass(frozen=True, kw_only=True)
class RotationResult:
    """The result of a rotation.

    `rotated` counts rows moved to the first key, `merged` duplicate supporters, and `suppressions` the hashes that
    were moved with their supporters' addresses. `unrotatable` counts suppressions of unknown addresses, which need
    an older key. `undecryptable` lists the ids of rows that no key decrypts.
    """

    rotated: int = 0
    merged: int = 0
    suppressions: int = 0
    unrotatable: int = 0
    undecryptable: tuple[uuid.UUID, ...] = ()

    def __add__(self, other: "RotationResult") -> "RotationResult":
        return RotationResult(
            rotated=self.rotated + other.rotated,
            merged=self.merged + other.merged,
            suppressions=self.suppressions + other.suppressions,
            unrotatable=self.unrotatable + other.unrotatable,
            undecryptable=self.undecryptable + other.undecryptable,
        )


RotationBatch = tuple[RotationResult, uuid.UUID | None]
"""The result for a batch of rows, and the id of its last row; None if there were no rows left."""


def rotate_keys(
    transaction: TransactionFactory, *, clock: Clock, progress: Callable[[RotationResult], None] = lambda _: None
) -> RotationResult:
    """Encrypt all data with the first key; `progress` gets the running total after each batch."""
    total = RotationResult()
    steps: tuple[Callable[[Session, uuid.UUID | None], RotationBatch], ...] = (
        lambda session, after: rotate_supporters(session, after=after, now=clock()),
        lambda session, after: rotate_outbox_mails(session, after=after),
        lambda session, after: rotate_event_payloads(session, after=after),
    )
    for rotate in steps:
        after: uuid.UUID | None = None
        while True:
            with transaction() as session:
                result, after = rotate(session, after)
            if after is None:
                break
            total += result
            progress(total)
    with transaction() as session:
        return total + RotationResult(unrotatable=count_unrotatable(session))


def rotate_supporters(
    session: Session, *, after: uuid.UUID | None, now: datetime.datetime, limit: int = BATCH_SIZE
) -> RotationBatch:
    """Encrypt and hash a batch of addresses with the first key, and rehash their suppressions.

    While processes used different first keys during a deployment, one person may have got two rows. The second row
    that moves to the first key is then merged into the first.
    """
    keyring = session_keyring(session)
    addresses, undecryptable, last_id = _decrypt_batch(
        session, Supporter, Supporter.email, EMAIL_TYPE, after=after, limit=limit
    )
    hashes = {row_id: keyring.lookup_hash(address) for row_id, address in addresses.items()}
    owners = {
        email_hash: supporter_id
        for supporter_id, email_hash in session.execute(
            select(Supporter.id, Supporter.email_hash).where(Supporter.email_hash.in_(hashes.values()))
        )
    }
    merged = 0
    changes: list[dict[str, Any]] = []
    for row_id, email_hash in hashes.items():
        owner_id = owners.setdefault(email_hash, row_id)
        if owner_id != row_id:
            merge_supporters(session, kept=owner_id, duplicate=row_id, now=now)
            merged += 1
        else:
            changes.append({"id": row_id, "email": addresses[row_id], "email_hash": email_hash})
    if changes:
        session.execute(update(Supporter), changes)
    rehashed = rehash_to_current_key(session, addresses.values())
    result = RotationResult(
        rotated=len(changes), merged=merged, suppressions=rehashed, undecryptable=undecryptable
    )
    return result, last_id


def rotate_outbox_mails(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt a batch of dev outbox emails with the first key, and rehash their recipients."""
    keyring = session_keyring(session)
    messages, undecryptable, last_id = _decrypt_batch(
        session, DevOutboxEmail, DevOutboxEmail.message, MESSAGE_TYPE, after=after, limit=limit
    )
    changes = [
        {"id": row_id, "message": message, "recipient_hash": keyring.lookup_hash(_recipient(message))}
        for row_id, message in messages.items()
    ]
    if changes:
        session.execute(update(DevOutboxEmail), changes)
    return RotationResult(rotated=len(changes), undecryptable=undecryptable), last_id


def rotate_event_payloads(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt a batch of gateway event payloads with the first key."""
    payloads, undecryptable, last_id = _decrypt_batch(
        session, GatewayEvent, GatewayEvent.payload, PAYLOAD_TYPE, after=after, limit=limit
    )
    changes = [{"id": row_id, "payload": payload} for row_id, payload in payloads.items()]
    if changes:
        session.execute(update(GatewayEvent), changes)
    return RotationResult(rotated=len(changes), undecryptable=undecryptable), last_id


def merge_supporters(session: Session, *, kept: uuid.UUID, duplicate: uuid.UUID, now: datetime.datetime) -> None:
    """Move the pledges, notifications, sign-ins and reminders of a duplicate supporter to another, and delete it.

    If both have a reminder for the same campaign, the newer one stays. It is cancelled if the reader cancelled the
    older one after asking for the newer one, and confirmed if they had confirmed the older one. The kept one gets
    the earlier `created_at`.
    """
    for table in (Pledge, Notification, SignIn):
        session.execute(update(table).where(table.supporter_id == duplicate).values(supporter_id=kept))
    by_campaign = {reminder.campaign_id: reminder for reminder in _lock_reminders(session, kept)}
    for reminder in _lock_reminders(session, duplicate):
        other = by_campaign.get(reminder.campaign_id)
        if other is None:
            reminder.supporter_id = kept
            continue
        newer, older = (reminder, other) if reminder.asked_at > other.asked_at else (other, reminder)
        if _cancelled_since(session, older, newer.asked_at) and can_cancel(newer):
            cancel(session, newer, now=now)
        elif older.confirmed_at is not None and can_confirm(newer):
            confirm(session, newer, now=now)
        # Pledges that came from the older reminder stay attributed to this reader's reminder.
        session.execute(update(Pledge).where(Pledge.reminder_id == older.id).values(reminder_id=newer.id))
        session.delete(older)
        # The pair of campaign and supporter is unique, so the delete must come before the update.
        session.flush()
        newer.supporter_id = kept
    first_seen = session.scalar(select(func.min(Supporter.created_at)).where(Supporter.id.in_((kept, duplicate))))
    session.execute(update(Supporter).where(Supporter.id == kept).values(created_at=first_seen))
    # The reminders must have moved before the delete, which cascades to them.
    session.flush()
    session.execute(delete(Supporter).where(Supporter.id == duplicate))


def _lock_reminders(session: Session, supporter_id: uuid.UUID) -> list[Reminder]:
    query = select(Reminder).where(Reminder.supporter_id == supporter_id).order_by(Reminder.id).with_for_update()
    return list(session.scalars(query))


def _cancelled_since(session: Session, reminder: Reminder, since: datetime.datetime) -> bool:
    cancelled = select(ReminderStatusChange.id).where(
        ReminderStatusChange.reminder_id == reminder.id,
        ReminderStatusChange.event == ReminderEvent.CANCEL,
        ReminderStatusChange.at >= since,
    )
    return session.scalar(cancelled.limit(1)) is not None


def _decrypt_batch(
    session: Session,
    table: type[Supporter] | type[DevOutboxEmail] | type[GatewayEvent],
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    column_type: Any,
    *,
    after: uuid.UUID | None,
    limit: int,
) -> tuple[dict[uuid.UUID, str], tuple[uuid.UUID, ...], uuid.UUID | None]:
    """Return a batch of texts encrypted with older keys by id, the ids of undecryptable rows, and the last id."""
    keyring = session_keyring(session)
    # Reads the raw bytes, so that one undecryptable value does not fail the whole batch.
    ciphertext = type_coerce(column, LargeBinary)
    query = (
        select(table.id, ciphertext)
        .where(_needs_rotation(ciphertext, keyring))
        .order_by(table.id)
        .limit(limit)
        .with_for_update()
    )
    if after is not None:
        query = query.where(table.id > after)
    rows = session.execute(query).all()
    texts, undecryptable = {}, []
    for row_id, value in rows:
        try:
            texts[row_id] = column_type.decrypt(value, keyring)
        except DecryptionError:
            undecryptable.append(row_id)
    return texts, tuple(undecryptable), rows[-1][0] if rows else None


def _needs_rotation(ciphertext: ColumnElement[bytes], keyring: Keyring) -> ColumnElement[bool]:
    return func.substr(ciphertext, 1, KEY_ID_BYTES) != keyring.current_id


def _recipient(message: str) -> str:
    """Return the recipient's address of a stored email."""
    parsed = message_from_string(message, _class=EmailMessage, policy=modern)
    recipient: str = parsed["To"].addresses[0].addr_spec
    return recipient
