"""Changing a supporter's address, and merging them with the supporter who has it already."""

import datetime
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.db.models.email_change import EmailChange
from service.db.session import constraint_name, session_keyring
from service.domain.email.addresses import address_hashes
from service.domain.email_changes import (
    UNDO_TTL,
    add_confirmed_change,
    enqueue_old_address_notification,
    find_open_change,
    find_undoable_change,
)
from service.domain.errors import EmailInUse, ErasureUnderWay
from service.domain.event_addresses import is_being_erased
from service.domain.payments.customer_addresses import EMAIL_CONSTRAINT, record_address, update_customers
from service.domain.ports import Clock, PaymentGateway, TransactionFactory
from service.domain.privacy.merging import merge_supporters
from service.domain.sign_in import end_other_sessions
from service.domain.supporters import (
    SupporterSummary,
    find_other_supporter,
    get_address,
    lock_with_pledges,
    summarise_supporter,
    supporter_not_found,
)


@dataclass(frozen=True, kw_only=True)
class AddressChange:
    """A supporter after a change, whether another was merged into them, and the customers by result."""

    supporter: SupporterSummary
    merged: bool
    customers: Counter[str]


def change_address(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    supporter_id: uuid.UUID,
    address: str,
    *,
    merge: bool,
    clock: Clock,
) -> AddressChange:
    """Give a supporter another normalised address, here and at the gateway.

    Raises:
        SupporterNotFound: no supporter has this id.
        EmailInUse: it is the address of another supporter, and `merge` is false.
        ErasureUnderWay: the supporter, or the one who has the address, is being erased.
    """
    with translate_conflict(), transaction() as session:
        merged = replace_address(session, supporter_id, address, merge=merge, now=clock())
        supporter = summarise_supporter(session, supporter_id)
    customers = update_customers(transaction, gateway, supporter_id, clock=clock)
    return AddressChange(supporter=supporter, merged=merged, customers=customers)


def confirm_email_change(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    token: str,
    *,
    session_secret: str | None,
    lang: str,
    clock: Clock,
) -> None:
    """Give a supporter the address that their link was sent to, and tell the old address of it.

    Whoever opens the link owns the new address, so another supporter with that address is merged into this one.

    Raises:
        EmailChangeLinkExpired: the link was used before, has expired, is not the latest, or never existed.
        ErasureUnderWay: one of the two supporters is being erased.
        SupporterNotFound, EmailInUse: they were merged or deleted at the same moment.
    """
    try:
        supporter_id = _confirm(transaction, token, session_secret=session_secret, lang=lang, now=clock())
    except EmailInUse:
        # A supporter with this address was created at the same moment. Now they are found, and merged.
        supporter_id = _confirm(transaction, token, session_secret=session_secret, lang=lang, now=clock())
    update_customers(transaction, gateway, supporter_id, clock=clock)


def undo_email_change(
    transaction: TransactionFactory, gateway: PaymentGateway, token: str, *, lang: str, clock: Clock
) -> None:
    """Give a supporter their old address back, end every session, and tell the address that is replaced.

    Another supporter who has got the old address since is merged, as when a change is confirmed.

    Raises:
        EmailChangeLinkExpired: the change was undone, is too old, was followed by a merge, or never existed.
        ErasureUnderWay, SupporterNotFound, EmailInUse: as `confirm_email_change`.
    """
    try:
        supporter_id = _undo(transaction, token, lang=lang, now=clock())
    except EmailInUse:
        supporter_id = _undo(transaction, token, lang=lang, now=clock())
    update_customers(transaction, gateway, supporter_id, clock=clock)


def _undo(transaction: TransactionFactory, token: str, *, lang: str, now: datetime.datetime) -> uuid.UUID:
    with translate_conflict(), transaction() as session:
        change = find_undoable_change(session, token, now=now)
        supporter_id, address = change.supporter_id, change.old_email or ""
        _lock(session, supporter_id, address)
        change = find_undoable_change(session, token, now=now, for_update=True)
        if change.supporter_id != supporter_id:
            raise _email_in_use()
        replaced = get_address(session, supporter_id)
        # The person who changed the address may be signed in.
        end_other_sessions(session, supporter_id, None)
        replace_address(session, supporter_id, address, merge=True, now=now)
        session.execute(
            update(EmailChange).where(EmailChange.supporter_id == supporter_id).values(undo_until=None)
        )
        # Being the newest, it makes a link that waits to be opened worthless.
        undone = add_confirmed_change(session, supporter_id, old=replaced, new=address, now=now)
        if replaced is not None and replaced != address:
            enqueue_old_address_notification(session, undone, lang=lang, now=now)
        return supporter_id


def _confirm(
    transaction: TransactionFactory, token: str, *, session_secret: str | None, lang: str, now: datetime.datetime
) -> uuid.UUID:
    with translate_conflict(), transaction() as session:
        change = find_open_change(session, token, now=now)
        supporter_id = change.supporter_id
        # Before the request is locked, because a merge or an erasure locks it after its supporter.
        other_id = _lock(session, supporter_id, change.new_email)
        change = find_open_change(session, token, now=now, for_update=True)
        if change.supporter_id != supporter_id:
            # Their supporter was merged into another at the same moment.
            raise _email_in_use()
        old = get_address(session, supporter_id)
        if other_id is not None:
            # Whoever asked for the change may not be the person who confirms it, and must not see what is merged.
            end_other_sessions(session, supporter_id, session_secret)
        replace_address(session, supporter_id, change.new_email, merge=True, now=now)
        change.confirmed_at = now
        # The link to undo it would open what the other supporter gave to the owner of the old address.
        change.undo_until = None if other_id is not None else now + UNDO_TTL
        if old is not None and old != change.new_email:
            change.old_email = old
            change.old_email_hash = address_hashes(session_keyring(session), old)[0]
            enqueue_old_address_notification(session, change, lang=lang, now=now)
        return supporter_id


@contextmanager
def translate_conflict() -> Iterator[None]:
    """Translate the violation of the address's constraint, by a supporter who was created at the same moment.

    Raises:
        EmailInUse: the address belongs to another supporter.
    """
    try:
        yield
    except IntegrityError as error:
        if constraint_name(error) != EMAIL_CONSTRAINT:
            raise
        raise _email_in_use() from error


def replace_address(
    session: Session, supporter_id: uuid.UUID, address: str, *, merge: bool, now: datetime.datetime
) -> bool:
    """Store another address of a supporter; return whether another supporter was merged into them.

    Raises:
        SupporterNotFound, EmailInUse, ErasureUnderWay: as `change_address`.
    """
    other_id = _lock(session, supporter_id, address)
    old = get_address(session, supporter_id)
    if is_being_erased(session, address) or (old is not None and is_being_erased(session, old)):
        # A merge would make the pledges and reminders of both those of the person who is erased.
        raise ErasureUnderWay("This person's data is being erased, so the address cannot change.", field="email")
    if other_id is not None:
        if not merge:
            raise _email_in_use()
        merge_supporters(session, kept=supporter_id, duplicate=other_id, now=now, keeps_address=True)
    record_address(session, supporter_id, address, at=now)
    return other_id is not None


def _lock(session: Session, supporter_id: uuid.UUID, address: str) -> uuid.UUID | None:
    """Lock a supporter and another who has this address; return the other's id.

    Raises:
        SupporterNotFound: no supporter has this id.
    """
    other_id = find_other_supporter(session, address, supporter_id)
    locked = lock_with_pledges(session, [each for each in (supporter_id, other_id) if each is not None])
    if supporter_id not in locked:
        raise supporter_not_found()
    return other_id if other_id in locked else None


def _email_in_use() -> EmailInUse:
    return EmailInUse("This address belongs to another supporter. The two can be merged.", field="email")
