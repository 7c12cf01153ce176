"""Changes of a supporter's address, and the gateway's customers, which follow it and which it follows.

A change is stored together with a row for each customer that has to get it. The gateway is called afterwards, with
no transaction open. After a crash or an outage in between, the reconciler completes the call.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Iterator

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.db.base import new_id
from service.db.models.customer import CustomerUpdate
from service.db.models.erasure import ErasureRequest
from service.db.models.pledge import Pledge
from service.db.models.supporter import HASH_VERSION, Supporter
from service.db.session import session_keyring
from service.domain.email.addresses import address_hashes, fold_address, normalise_address
from service.domain.email.suppression import copy_opt_outs
from service.domain.errors import (
    EmailInUse,
    InvalidAddress,
    PaymentRequestRejected,
    PaymentsUnavailable,
    SupporterNotFound,
)
from service.domain.event_addresses import is_being_erased
from service.domain.pledges.subscriptions import translate_gateway_errors
from service.domain.ports import Clock, PaymentGateway, TransactionFactory
from service.domain.ports.payment_events import CustomerUpdated
from service.domain.supporters import find_other_supporter, get_address, lock_supporter

EMAIL_CONSTRAINT = "uq_supporters_email_hash"

log = structlog.get_logger()


def record_address(
    session: Session,
    supporter_id: uuid.UUID,
    address: str,
    *,
    at: datetime.datetime,
    known_to: str | None = None,
) -> bool:
    """Store another normalised address of a supporter; return False if it is their address already.

    The address of a supporter who is being erased stays: the erasure finds them by it.

    Pledges and reminders refer to the supporter, so they move along. What the reader has opted out of stays so.
    Every customer at the gateway is to get the address, except the one that it is `known_to`.

    Raises:
        SupporterNotFound: no supporter has this id.
        IntegrityError: it is the address of another supporter (`EMAIL_CONSTRAINT`); look for one first.
    """
    lock_supporter(session, supporter_id)
    old = get_address(session, supporter_id)
    if old == address or (old is not None and is_being_erased(session, old)):
        return False
    values = {
        "email": address,
        "email_hash": address_hashes(session_keyring(session), address)[0],
        "hash_version": HASH_VERSION,
        "email_changed_at": at,
    }
    session.execute(update(Supporter).where(Supporter.id == supporter_id).values(values))
    # A link that is in the old mailbox no longer erases the supporter.
    session.execute(delete(ErasureRequest).where(ErasureRequest.supporter_id == supporter_id))
    if old is not None:
        copy_opt_outs(session, old, address)
    for gateway, customer in _customers(session, supporter_id):
        _replace_customer_update(session, supporter_id, gateway, customer, at=at, is_needed=customer != known_to)
    return True


def update_customers(
    transaction: TransactionFactory, gateway: PaymentGateway, supporter_id: uuid.UUID, *, clock: Clock
) -> Counter[str]:
    """Give a supporter's customers their present address.

    Returns:
        the number of customers by result: `updated`, `pending` (the gateway is unavailable, and the reconciler
        completes it later) and `refused`.
    """
    with transaction() as session:
        update_ids = session.scalars(
            select(CustomerUpdate.id)
            .where(
                CustomerUpdate.supporter_id == supporter_id,
                CustomerUpdate.gateway == gateway.name,
                CustomerUpdate.completed_at.is_(None),
            )
            .order_by(CustomerUpdate.id)
        ).all()
    counts: Counter[str] = Counter()
    for update_id in update_ids:
        try:
            complete_customer_update(transaction, gateway, update_id, clock=clock)
        except PaymentsUnavailable:
            counts["pending"] += 1
        except PaymentRequestRejected as error:
            log.warning("customer_update_refused", reason=str(error))
            counts["refused"] += 1
        else:
            counts["updated"] += 1
    return counts


def complete_customer_update(
    transaction: TransactionFactory, gateway: PaymentGateway, update_id: uuid.UUID, *, clock: Clock
) -> None:
    """Give one customer the present address of its supporter, unless that has been done.

    Raises:
        PaymentsUnavailable: the same call may succeed later.
        PaymentRequestRejected: the gateway refuses, for example because the customer was deleted there. This
            customer gets no address until it changes again.
    """
    with transaction() as session:
        pending = session.get(CustomerUpdate, update_id)
        address = None if pending is None else get_address(session, pending.supporter_id)
    if pending is None or pending.completed_at is not None or address is None:
        return
    try:
        with translate_gateway_errors():
            gateway.update_customer_email(pending.customer_reference, address, update_id=update_id)
    except PaymentRequestRejected:
        with transaction() as session:
            session.execute(delete(CustomerUpdate).where(CustomerUpdate.id == update_id))
        raise
    with transaction() as session:
        _complete(session, pending, address, now=clock())


def follow_customer(session: Session, gateway: str, supporter_id: uuid.UUID, event: CustomerUpdated) -> None:
    """Give a supporter the address that their customer has at the gateway, unless a newer change is known.

    Gateways date their events to the second. In the same second as the latest change, only an event that changed
    the present address comes after it. An address to which no email can be sent is ignored.

    Raises:
        SupporterNotFound: no supporter has this id.
        EmailInUse: it is another supporter's. Whoever typed it at the gateway has not proved that it is theirs, so
            that the two are not merged.
    """
    try:
        address = normalise_address(event.email)
    except InvalidAddress:
        return
    lock_supporter(session, supporter_id)
    present = get_address(session, supporter_id)
    latest = _latest_change(session, gateway, supporter_id, event.customer)
    if latest is not None:
        latest = latest.replace(microsecond=0)
        follows = event.previous_email is not None and _same_address(event.previous_email, present)
        if event.occurred_at < latest or (event.occurred_at == latest and not follows):
            return
    if find_other_supporter(session, address, supporter_id) is not None:
        raise EmailInUse(
            f"Its address belongs to another supporter. If the two are one person, change the address of supporter"
            f" {supporter_id} with a merge, and then apply this event again."
        )
    record_address(session, supporter_id, address, at=event.occurred_at, known_to=event.customer)
    session.execute(
        update(Supporter).where(Supporter.id == supporter_id).values(email_changed_at=event.occurred_at)
    )


def _latest_change(
    session: Session, gateway: str, supporter_id: uuid.UUID, customer: str
) -> datetime.datetime | None:
    """Return when the supporter's address last changed, or when the customer last got one from us."""
    changed_at = session.scalar(select(Supporter.email_changed_at).where(Supporter.id == supporter_id))
    sent_at = session.scalar(
        select(CustomerUpdate.completed_at).where(
            CustomerUpdate.gateway == gateway, CustomerUpdate.customer_reference == customer
        )
    )
    return max((at for at in (changed_at, sent_at) if at is not None), default=None)


def _same_address(address: str, other: str | None) -> bool:
    return other is not None and fold_address(address) == fold_address(other)


def _complete(session: Session, completed: CustomerUpdate, sent: str, *, now: datetime.datetime) -> None:
    supporter_id = completed.supporter_id
    try:
        lock_supporter(session, supporter_id)
    except SupporterNotFound:
        return
    row = session.get(CustomerUpdate, completed.id)
    if row is not None:
        row.completed_at = now
    elif get_address(session, supporter_id) != sent:
        # The address changed again during the call, which may have overwritten the newer one at the gateway.
        _replace_customer_update(
            session, supporter_id, completed.gateway, completed.customer_reference, at=now, is_needed=True
        )


def _customers(session: Session, supporter_id: uuid.UUID) -> Iterator[tuple[str, str]]:
    query = select(Pledge.gateway, Pledge.customer_reference).where(Pledge.supporter_id == supporter_id).distinct()
    for gateway, customer in session.execute(query).all():
        if customer is not None:
            yield gateway, customer


def _replace_customer_update(
    session: Session,
    supporter_id: uuid.UUID,
    gateway: str,
    customer: str,
    *,
    at: datetime.datetime,
    is_needed: bool,
) -> None:
    session.execute(
        delete(CustomerUpdate).where(
            CustomerUpdate.gateway == gateway, CustomerUpdate.customer_reference == customer
        )
    )
    if is_needed:
        session.add(
            CustomerUpdate(
                id=new_id(),
                supporter_id=supporter_id,
                gateway=gateway,
                customer_reference=customer,
                requested_at=at,
            )
        )
        session.flush()
