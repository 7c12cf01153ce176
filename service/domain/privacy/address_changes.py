"""Changing a supporter's address, and merging them with the supporter who has it already."""

import datetime
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.db.session import constraint_name
from service.domain.errors import EmailInUse
from service.domain.payments.customers import EMAIL_CONSTRAINT, record_address, update_customers
from service.domain.ports import Clock, PaymentGateway, TransactionFactory
from service.domain.privacy.merging import merge_supporters
from service.domain.supporters import SupporterSummary, find_other_supporter, summarise_supporter


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
    """
    with translate_conflict(), transaction() as session:
        merged = replace_address(session, supporter_id, address, merge=merge, now=clock())
        supporter = summarise_supporter(session, supporter_id)
    customers = update_customers(transaction, gateway, supporter_id, clock=clock)
    return AddressChange(supporter=supporter, merged=merged, customers=customers)


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
        SupporterNotFound, EmailInUse: as `change_address`.
    """
    summarise_supporter(session, supporter_id)
    other_id = find_other_supporter(session, address, supporter_id)
    if other_id is not None:
        if not merge:
            raise _email_in_use()
        # Before the supporter is locked: a payment locks its pledge first, so the two would deadlock otherwise.
        merge_supporters(session, kept=supporter_id, duplicate=other_id, now=now, keeps_address=True)
    record_address(session, supporter_id, address, at=now)
    return other_id is not None


def _email_in_use() -> EmailInUse:
    return EmailInUse("This address belongs to another supporter. The two can be merged.", field="email")
