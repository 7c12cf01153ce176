"""Key rotation: encrypts and hashes all stored data with the first key of `SECRET_KEYS`.

`fold_supporters` does the same for supporters that a release before hashed without folding their address. Both
merge supporters who turn out to be one person.

It works in small transactions while other processes run, and can be stopped and restarted at any time: rows that
already use the first key are skipped. A value that no key decrypts is left unchanged and counted.
"""

import datetime
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email import message_from_string
from email.message import EmailMessage
from email.policy import default as modern
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, func, or_, select, type_coerce, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.db.keyring import KEY_ID_BYTES, DecryptionError, Keyring
from service.db.models.email import MESSAGE_TYPE, DevOutboxEmail
from service.db.models.email_change import EMAIL_CHANGE_TYPE, EmailChange
from service.db.models.erasure import ADDRESS_TYPE, Erasure
from service.db.models.payment import PAYLOAD_TYPE, GatewayEvent
from service.db.models.pledge import INVOICE_URL_TYPE, Pledge
from service.db.models.supporter import EMAIL_TYPE, HASH_VERSION, Supporter
from service.db.session import session_keyring
from service.domain.email.addresses import address_hashes, fold_address
from service.domain.email.suppression import count_unrotatable, lookup_hashes, rehash_to_current_key
from service.domain.event_addresses import find_addresses, hash_addresses, hash_unhashed_events
from service.domain.ports import Clock, TransactionFactory
from service.domain.privacy.erasure import count_unrotatable_erasures
from service.domain.privacy.key_canary import rotate_canary
from service.domain.privacy.merging import merge_supporters

BATCH_SIZE = 100
MAX_BATCH_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class RotationResult:
    """The result of a rotation.

    `rotated` counts rows moved to the first key, `merged` duplicate supporters, and `suppressions` the hashes that
    were moved with their supporters' addresses. `unrotatable` counts suppressions of unknown addresses, which need
    an older key. `erasures` counts completed erasures whose hash needs an older key, and `erasures_until` is when
    the last of them is purged. `undecryptable` lists the ids of rows that no key decrypts.
    """

    rotated: int = 0
    merged: int = 0
    suppressions: int = 0
    unrotatable: int = 0
    erasures: int = 0
    erasures_until: datetime.datetime | None = None
    undecryptable: tuple[uuid.UUID, ...] = ()

    def __add__(self, other: "RotationResult") -> "RotationResult":
        return RotationResult(
            rotated=self.rotated + other.rotated,
            merged=self.merged + other.merged,
            suppressions=self.suppressions + other.suppressions,
            unrotatable=self.unrotatable + other.unrotatable,
            erasures=self.erasures + other.erasures,
            erasures_until=other.erasures_until or self.erasures_until,
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
        lambda session, after: rotate_invoice_urls(session, after=after),
        lambda session, after: rotate_erasures(session, after=after),
        lambda session, after: rotate_new_addresses(session, after=after),
        lambda session, after: rotate_old_addresses(session, after=after),
    )
    for rotate in steps:
        for result in _run_batches(transaction, rotate):
            total += result
            progress(total)
    with transaction() as session:
        rotate_canary(session)
        erasures, until = count_unrotatable_erasures(session)
        unrotatable = count_unrotatable(session)
        return total + RotationResult(unrotatable=unrotatable, erasures=erasures, erasures_until=until)


def fold_supporters(
    transaction: TransactionFactory, *, clock: Clock, should_continue: Callable[[], bool] = lambda: True
) -> RotationResult:
    """Hash the folded address of supporters that a release before hashed as typed, and merge those who are one.

    It changes nothing where there is nothing left, so it may run at any time and in several processes.
    """
    batches = _run_batches(
        transaction,
        lambda session, after: rotate_supporters(session, after=after, now=clock(), only_unfolded=True),
        should_continue=should_continue,
    )
    return sum(batches, RotationResult())


def hash_events(transaction: TransactionFactory, *, should_continue: Callable[[], bool] = lambda: True) -> int:
    """Hash the addresses in the payloads that a release before stored; return how many events."""
    total = 0
    while should_continue():
        with transaction() as session:
            hashed = hash_unhashed_events(session)
        if not hashed:
            break
        total += hashed
    return total


def rotate_supporters(
    session: Session,
    *,
    after: uuid.UUID | None,
    now: datetime.datetime,
    limit: int = BATCH_SIZE,
    only_unfolded: bool = False,
) -> RotationBatch:
    """Encrypt a batch of addresses with the first key, hash their folded forms, and rehash their suppressions.

    Two rows may turn out to be one person: the addresses differ only in case, or processes used different first
    keys during a deployment. The second row that gets the hash is then merged into the first.
    """
    keyring = session_keyring(session)
    is_unfolded = Supporter.hash_version < HASH_VERSION
    outdated = (
        is_unfolded
        if only_unfolded
        else or_(is_unfolded, _needs_rotation(type_coerce(Supporter.email, LargeBinary), keyring))
    )
    addresses, undecryptable, last_id = _decrypt_batch(
        session, Supporter, Supporter.email, EMAIL_TYPE, after=after, limit=limit, outdated=outdated
    )
    hashes = {row_id: address_hashes(keyring, address)[0] for row_id, address in addresses.items()}
    owners = {
        email_hash: supporter_id
        for supporter_id, email_hash in session.execute(
            select(Supporter.id, Supporter.email_hash).where(Supporter.email_hash.in_(hashes.values()))
        )
    }
    changes: list[dict[str, Any]] = []
    duplicates: list[tuple[uuid.UUID, uuid.UUID]] = []
    for row_id, email_hash in hashes.items():
        owner_id = owners.setdefault(email_hash, row_id)
        if owner_id == row_id:
            columns = {"email": addresses[row_id], "email_hash": email_hash, "hash_version": HASH_VERSION}
            changes.append({"id": row_id} | columns)
        else:
            duplicates.append((row_id, owner_id))
    duplicates += _update_supporters(session, changes)
    # In the order of their creation, so that the address typed last is the one that stays.
    for row_id, owner_id in sorted(duplicates):
        merge_supporters(session, kept=owner_id, duplicate=row_id, now=now)
    _rehash_outbox_emails(session, addresses.values())
    result = RotationResult(
        rotated=len(addresses) - len(duplicates),
        merged=len(duplicates),
        suppressions=rehash_to_current_key(session, addresses.values()),
        undecryptable=undecryptable,
    )
    return result, last_id


def _update_supporters(session: Session, changes: list[dict[str, Any]]) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Update supporters; return the ids of those whose hash a concurrent request has inserted, and its owner's."""
    if not changes:
        return []
    try:
        with session.begin_nested():
            session.execute(update(Supporter), changes)
    except IntegrityError:
        if len(changes) > 1:
            return [pair for change in changes for pair in _update_supporters(session, [change])]
        [change] = changes
        owner = select(Supporter.id).where(Supporter.email_hash == change["email_hash"])
        return [(change["id"], session.scalars(owner).one())]
    return []


def rotate_outbox_mails(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt a batch of dev outbox emails with the first key, and rehash their recipients."""
    keyring = session_keyring(session)
    messages, undecryptable, last_id = _decrypt_batch(
        session, DevOutboxEmail, DevOutboxEmail.message, MESSAGE_TYPE, after=after, limit=limit
    )
    changes = [
        {"id": row_id, "message": message, "recipient_hash": address_hashes(keyring, _recipient(message))[0]}
        for row_id, message in messages.items()
    ]
    if changes:
        session.execute(update(DevOutboxEmail), changes)
    return RotationResult(rotated=len(changes), undecryptable=undecryptable), last_id


def rotate_event_payloads(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt a batch of gateway event payloads with the first key, and hash the addresses in them."""
    payloads, undecryptable, last_id = _decrypt_batch(
        session, GatewayEvent, GatewayEvent.payload, PAYLOAD_TYPE, after=after, limit=limit
    )
    changes = [
        {"id": row_id, "payload": payload, "addresses_hashed": True} for row_id, payload in payloads.items()
    ]
    if changes:
        session.execute(update(GatewayEvent), changes)
    for row_id, payload in payloads.items():
        hash_addresses(session, row_id, find_addresses(payload))
    return RotationResult(rotated=len(changes), undecryptable=undecryptable), last_id


def rotate_erasures(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt and hash with the first key the addresses of erasures that wait for the gateway."""
    addresses, undecryptable, last_id = _decrypt_batch(
        session, Erasure, Erasure.address, ADDRESS_TYPE, after=after, limit=limit
    )
    changes = [
        {"id": row_id, "address": address, "email_hash": lookup_hashes(session, address)[0]}
        for row_id, address in addresses.items()
    ]
    if changes:
        session.execute(update(Erasure), changes)
    return RotationResult(rotated=len(changes), undecryptable=undecryptable), last_id


def rotate_invoice_urls(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt a batch of links to open invoices with the first key."""
    urls, undecryptable, last_id = _decrypt_batch(
        session, Pledge, Pledge.open_invoice_url, INVOICE_URL_TYPE, after=after, limit=limit
    )
    changes = [{"id": row_id, "open_invoice_url": url} for row_id, url in urls.items()]
    if changes:
        session.execute(update(Pledge), changes)
    return RotationResult(rotated=len(changes), undecryptable=undecryptable), last_id


def rotate_new_addresses(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt and hash with the first key the new addresses of requests to change one."""
    return _rotate_email_changes(session, EmailChange.new_email, EmailChange.new_email_hash, after, limit)


def rotate_old_addresses(session: Session, *, after: uuid.UUID | None, limit: int = BATCH_SIZE) -> RotationBatch:
    """Encrypt and hash with the first key the old addresses of confirmed changes."""
    return _rotate_email_changes(session, EmailChange.old_email, EmailChange.old_email_hash, after, limit)


def _rotate_email_changes(
    session: Session,
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    hash_column: InstrumentedAttribute[bytes] | InstrumentedAttribute[bytes | None],
    after: uuid.UUID | None,
    limit: int,
) -> RotationBatch:
    addresses, undecryptable, last_id = _decrypt_batch(
        session, EmailChange, column, EMAIL_CHANGE_TYPE, after=after, limit=limit
    )
    keyring = session_keyring(session)
    changes = [
        {"id": row_id, column.key: address, hash_column.key: address_hashes(keyring, address)[0]}
        for row_id, address in addresses.items()
    ]
    if changes:
        session.execute(update(EmailChange), changes)
    return RotationResult(rotated=len(changes), undecryptable=undecryptable), last_id


def _run_batches(
    transaction: TransactionFactory,
    rotate: Callable[[Session, uuid.UUID | None], RotationBatch],
    *,
    should_continue: Callable[[], bool] = lambda: True,
) -> Iterator[RotationResult]:
    """Yield the result of each batch, committed.

    A batch is tried again if the database cancelled it to break a deadlock.
    """
    after: uuid.UUID | None = None
    tries = 0
    while should_continue():
        tries += 1
        try:
            with transaction() as session:
                result, last_id = rotate(session, after)
        except OperationalError:
            if tries == MAX_BATCH_TRIES:
                raise
            continue
        if last_id is None:
            break
        tries, after = 0, last_id
        yield result


def _rehash_outbox_emails(session: Session, addresses: Iterable[str]) -> None:
    """Rehash the dev outbox emails that the release before hashed under these addresses as typed."""
    keyring = session_keyring(session)
    for address in addresses:
        if address == fold_address(address):
            continue
        current, *older = address_hashes(keyring, address)
        session.execute(
            update(DevOutboxEmail)
            .where(DevOutboxEmail.recipient_hash.in_(older))
            .values(recipient_hash=current)
            .execution_options(synchronize_session=False)
        )


def _decrypt_batch(
    session: Session,
    table: type[Supporter]
    | type[DevOutboxEmail]
    | type[GatewayEvent]
    | type[Pledge]
    | type[Erasure]
    | type[EmailChange],
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    column_type: Any,
    *,
    after: uuid.UUID | None,
    limit: int,
    outdated: ColumnElement[bool] | None = None,
) -> tuple[dict[uuid.UUID, str], tuple[uuid.UUID, ...], uuid.UUID | None]:
    """Return a batch of texts by id, the ids of undecryptable rows, and the last id.

    The batch is of the `outdated` rows, which are those encrypted with older keys unless it is given.
    """
    keyring = session_keyring(session)
    # Reads the raw bytes, so that one undecryptable value does not fail the whole batch.
    ciphertext = type_coerce(column, LargeBinary)
    query = (
        select(table.id, ciphertext)
        .where(_needs_rotation(ciphertext, keyring) if outdated is None else outdated)
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
