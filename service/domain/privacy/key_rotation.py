"""Moving everything that is encrypted or hashed under an older key to the first key of `SECRET_KEYS`.

It works in small transactions beside running processes, and may be stopped and begun again at any time: what
the first key has closed already is passed over. A value that no key opens is left as it is and counted.
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


def merge_supporters(session: Session, *, kept: uuid.UUID, duplicate: uuid.UUID, now: datetime.datetime) -> None:
    """Give everything of one row to another and delete it: pledges, reminders, mails, sessions, first meeting.

    Where both have a reminder for one campaign, the one that was asked for last stays, as if the reader had been
    known all along. If they cancelled the other one after that, this one is cancelled too: a no is never lost; and
    if they had confirmed the other one, this one needs no word from them.
    """
    for table in (Pledge, Notification, SignIn):
        session.execute(update(table).where(table.supporter_id == duplicate).values(supporter_id=kept))
    standing = {reminder.campaign_id: reminder for reminder in _lock_reminders(session, kept)}
    for reminder in _lock_reminders(session, duplicate):
        other = standing.get(reminder.campaign_id)
        if other is None:
            reminder.supporter_id = kept
            continue
        last, first = (reminder, other) if reminder.asked_at > other.asked_at else (other, reminder)
        if _cancelled_since(session, first, last.asked_at) and can_cancel(last):
            cancel(session, last, now=now)
        elif first.confirmed_at is not None and can_confirm(last):
            confirm(session, last, now=now)
        # What a mail about the one that goes has brought was brought by this reader's reminder all the same.
        session.execute(update(Pledge).where(Pledge.reminder_id == first.id).values(reminder_id=last.id))
        session.delete(first)
        # The one that stays may take the other's place only after that has left it: their pair is unique.
        session.flush()
        last.supporter_id = kept
    met = session.scalar(select(func.min(Supporter.created_at)).where(Supporter.id.in_((kept, duplicate))))
    session.execute(update(Supporter).where(Supporter.id == kept).values(created_at=met))
    # The reminders must have moved before the row goes, because it would take them along.
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


BATCH_SIZE = 100


@dataclass(frozen=True, kw_only=True)
class RotationResult:
    """What was done: rows moved to the first key, people found twice, and the ids of rows that nothing opens.

    `suppressions` moved with the addresses that they stand against. `unrotatable` are addresses of nobody we know,
    which only an older key knows to be dead or unwilling.
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
"""What was done with some rows, and the id of the last of them; None when there were none left."""


def rotate_keys(
    transaction: TransactionFactory, *, clock: Clock, progress: Callable[[RotationResult], None] = lambda _: None
) -> RotationResult:
    """Move all that is encrypted to the first key; `progress` hears of the sum after each batch."""
    done = RotationResult()
    steps: tuple[Callable[[Session, uuid.UUID | None], RotationBatch], ...] = (
        lambda session, after: rotate_supporters(session, after=after, now=clock()),
        lambda session, after: rotate_outbox_mails(session, after=after),
        lambda session, after: rotate_event_payloads(session, after=after),
    )
    for rotate in steps:
        after: uuid.UUID | None = None
        while True:
            with transaction() as session:
                some, after = rotate(session, after)
            if after is None:
                break
            done += some
            progress(done)
    with transaction() as session:
        return done + RotationResult(unrotatable=count_unrotatable(session))


def rotate_supporters(
    session: Session, *, after: uuid.UUID | None, now: datetime.datetime, limit: int = BATCH_SIZE
) -> RotationBatch:
    """Encrypt and hash some addresses under the first key, and what stands against them.

    While the processes of two releases used different first keys, one person may have become known twice. The
    second row to come under the first key is then merged into the other.
    """
    keyring = session_keyring(session)
    addresses, unreadable, last = _decrypt_batch(
        session, Supporter, Supporter.email, EMAIL_TYPE, after=after, limit=limit
    )
    hashes = {row_id: keyring.lookup_hash(address) for row_id, address in addresses.items()}
    holders = {
        email_hash: holder
        for holder, email_hash in session.execute(
            select(Supporter.id, Supporter.email_hash).where(Supporter.email_hash.in_(hashes.values()))
        )
    }
    merged = 0
    changes: list[dict[str, Any]] = []
    for row_id, email_hash in hashes.items():
        holder = holders.setdefault(email_hash, row_id)
        if holder != row_id:
            merge_supporters(session, kept=holder, duplicate=row_id, now=now)
            merged += 1
        else:
            changes.append({"id": row_id, "email": addresses[row_id], "email_hash": email_hash})
    if changes:
        session.execute(update(Supporter), changes)
    moved = rehash_to_current_key(session, addresses.values())
    return RotationResult(rotated=len(changes), merged=merged, suppressions=moved, undecryptable=unreadable), last


def rotate_outbox_mails(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt some kept mails under the first key, and hash their recipients under it."""
    keyring = session_keyring(session)
    messages, unreadable, last = _decrypt_batch(
        session, DevOutboxEmail, DevOutboxEmail.message, MESSAGE_TYPE, after=after, limit=limit
    )
    changes = [
        {"id": row_id, "message": message, "recipient_hash": keyring.lookup_hash(_recipient(message))}
        for row_id, message in messages.items()
    ]
    if changes:
        session.execute(update(DevOutboxEmail), changes)
    return RotationResult(rotated=len(changes), undecryptable=unreadable), last


def rotate_event_payloads(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt some of what gateways told us under the first key."""
    payloads, unreadable, last = _decrypt_batch(
        session, GatewayEvent, GatewayEvent.payload, PAYLOAD_TYPE, after=after, limit=limit
    )
    changes = [{"id": row_id, "payload": payload} for row_id, payload in payloads.items()]
    if changes:
        session.execute(update(GatewayEvent), changes)
    return RotationResult(rotated=len(changes), undecryptable=unreadable), last


def _decrypt_batch(
    session: Session,
    table: type[Supporter] | type[DevOutboxEmail] | type[GatewayEvent],
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    kind: Any,
    *,
    after: uuid.UUID | None,
    limit: int,
) -> tuple[dict[uuid.UUID, str], tuple[uuid.UUID, ...], uuid.UUID | None]:
    """Return some texts under older keys, the ids of those that nothing opens, and the last id looked at."""
    keyring = session_keyring(session)
    # The bytes are read as they lie in the table, so that one that does not open cannot keep the others from it.
    closed = type_coerce(column, LargeBinary)
    query = (
        select(table.id, closed)
        .where(_needs_rotation(closed, keyring))
        .order_by(table.id)
        .limit(limit)
        .with_for_update()
    )
    if after is not None:
        query = query.where(table.id > after)
    rows = session.execute(query).all()
    texts, unreadable = {}, []
    for row_id, value in rows:
        try:
            texts[row_id] = kind.decrypt(value, keyring)
        except DecryptionError:
            unreadable.append(row_id)
    return texts, tuple(unreadable), rows[-1][0] if rows else None


def _needs_rotation(closed: ColumnElement[bytes], keyring: Keyring) -> ColumnElement[bool]:
    return func.substr(closed, 1, KEY_ID_BYTES) != keyring.current_id


def _recipient(message: str) -> str:
    """Return the one address that a kept mail went to."""
    parsed = message_from_string(message, _class=EmailMessage, policy=modern)
    recipient: str = parsed["To"].addresses[0].addr_spec
    return recipient
