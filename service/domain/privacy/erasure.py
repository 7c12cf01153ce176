"""Erasing a supporter (GDPR, article 17), here and at the payment gateway.

The request is recorded first: a row of `erasures` with the encrypted address, and every running pledge marked for
cancellation. Each step at the gateway then runs without an open transaction and may be repeated, and the supporter
is erased last. After a crash, or while the gateway is unavailable, a job goes on where the request ended.
"""

import datetime
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog
from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session, defer

from schemas.enums import ErasureStatus, PledgeStatus, SuppressionReason
from service.db.base import new_id
from service.db.keyring import KEY_ID_BYTES, DecryptionError
from service.db.models.customer import CustomerUpdate
from service.db.models.email_change import EmailChange
from service.db.models.erasure import ErasedCustomer, Erasure, ErasureRequest
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.db.session import session_keyring
from service.db.types import equals_literal
from service.domain.email.outbox import enqueue_alert
from service.domain.email.queue import release_unsent
from service.domain.email.suppression import lookup_hashes, suppress
from service.domain.erasure_requests import find_erasure_request, link_expired
from service.domain.errors import DomainError, InvalidTransition, PaymentsUnavailable, RecurringPledgeActive
from service.domain.event_addresses import lock_events
from service.domain.pledges.pledges import get_pledge, sync_pledge_status
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.pledges.status import RUNNING_STATUSES
from service.domain.pledges.subscriptions import (
    cancel_pledge,
    is_recurring_active,
    mark_cancelled,
    require_same_gateway,
)
from service.domain.ports import Clock, GatewayRejected, GatewayUnavailable, PaymentGateway, TransactionFactory
from service.domain.staff import write_audit_entry
from service.domain.supporters import erase_supporter, get_address, lock_with_pledges, supporter_ids_for

# Longer than the calls for one erasure may take, so that a request which still runs is left alone.
CLAIM_TIMEOUT = datetime.timedelta(minutes=2)
CUSTOMER_RETRY_INTERVAL = datetime.timedelta(days=1)
LATE_AFTER = datetime.timedelta(days=1)
# Stripe lists events for 30 days, and we keep payloads for 90.
ERASURE_RETENTION = datetime.timedelta(days=90)
READER = "reader"
MAX_STEPS = 1000
BATCH_SIZE = 50


class KeptData(StrEnum):
    """What an erasure does not delete."""

    HASH = "hash"
    PLEDGES = "pledges"
    AT_PROCESSOR = "at_processor"
    CUSTOMER = "customer"


SENTENCES_FOR_STAFF = {
    KeptData.HASH: "A keyed hash of the address in the suppression list, so that no email leaves for a request"
    " under way.",
    KeptData.PLEDGES: "Amounts, currencies, dates and references of the donations, without a name or an address:"
    " accounting law asks for them.",
    KeptData.AT_PROCESSOR: "The payment provider's own records of the payments, with the name and email address"
    " given at checkout: laws on accounting and money laundering ask for them. The provider deletes them when that"
    " time is over.",
    KeptData.CUSTOMER: "The customer at the payment provider, without name, email address and description, until a"
    " payment that is under way has ended. It is deleted then.",
}

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ErasureResult:
    """What an erasure has done so far. `kept` says in sentences what stays, and why."""

    id: uuid.UUID
    status: ErasureStatus
    found: bool
    pledges: int
    reminders: int
    recurring_ended: int
    kept: tuple[str, ...]


def erase(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    address: str,
    *,
    end_recurring: bool = True,
    requested_by: str,
    clock: Clock,
) -> ErasureResult:
    """Erase the supporter with this normalised address; end their recurring pledges at the gateway first.

    The result has the status `requested` if the gateway does not answer or refuses: the job `erase_supporters`
    goes on until it is `completed`.

    Raises:
        RecurringPledgeActive: a pledge still runs and `end_recurring` is false; nothing has changed.
        GatewayMismatch: a pledge runs at another gateway than the one in use; nothing has changed.
    """
    with transaction() as session:
        erasure_id = _request(
            session, gateway, address, end_recurring=end_recurring, requested_by=requested_by, now=clock()
        )
    _try_to_complete(transaction, gateway, erasure_id, clock=clock)
    with transaction() as session:
        return _result(session, gateway, session.get_one(Erasure, erasure_id))


def erase_by_link(transaction: TransactionFactory, gateway: PaymentGateway, token: str, *, clock: Clock) -> None:
    """Erase the supporter who was sent this link, as `erase` does; the erasure has the id of their request.

    Raises:
        ErasureLinkExpired: the link was used before, has expired, or never existed; nothing has changed.
        GatewayMismatch: a pledge runs at another gateway than the one in use; nothing has changed.
    """
    with transaction() as session:
        asked = find_erasure_request(session, token, now=clock())
        address = get_address(session, asked.supporter_id)
        if address is None:
            raise link_expired()
        erasure_id = _request(
            session,
            gateway,
            address,
            end_recurring=True,
            requested_by=READER,
            now=clock(),
            request_id=asked.id,
        )
    _try_to_complete(transaction, gateway, erasure_id, clock=clock)


def _try_to_complete(
    transaction: TransactionFactory, gateway: PaymentGateway, erasure_id: uuid.UUID, *, clock: Clock
) -> None:
    """Complete an erasure, or leave it to the job if the gateway does not answer or refuses."""
    try:
        _complete(transaction, gateway, erasure_id, clock=clock)
    except (GatewayUnavailable, GatewayRejected, DomainError) as error:
        log.warning("erasure_put_off", erasure=str(erasure_id), reason=str(error))


def complete_erasures(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    *,
    clock: Clock,
    should_continue: Callable[[], bool] = lambda: True,
) -> dict[str, int]:
    """Complete the erasures that are requested, and delete the customers that waited for a payment.

    Return the number of completed erasures, of deleted customers, and of those left for the next run.
    """
    counts = {"completed": 0, "customers": 0, "put_off": 0}
    with transaction() as session:
        erasure_ids = _claim(session, now=clock())
        customers = _claim_customers(session, gateway.name, now=clock())
    for erasure_id in erasure_ids:
        if not should_continue():
            return counts
        try:
            _complete(transaction, gateway, erasure_id, clock=clock)
        except (GatewayUnavailable, GatewayRejected, DomainError, DecryptionError) as error:
            log.warning("erasure_put_off", erasure=str(erasure_id), reason=str(error))
            counts["put_off"] += 1
            with transaction() as session:
                _alert_if_late(session, erasure_id, reason=str(error), now=clock())
        else:
            counts["completed"] += 1
    for erasure_id, reference in customers:
        if not should_continue():
            return counts
        try:
            is_deleted = gateway.erase_customer(reference)
        except (GatewayUnavailable, GatewayRejected) as error:
            log.warning("erasure_put_off", erasure=str(erasure_id), reason=str(error))
            counts["put_off"] += 1
            continue
        if is_deleted:
            _record_customer(transaction, gateway, erasure_id, reference, is_deleted=True, now=clock())
            counts["customers"] += 1
    return counts


def describe_late_erasures(session: Session, *, now: datetime.datetime) -> dict[str, str]:
    """Return a phrase about the erasures that wait for more than a day, by its topic; nothing without any."""
    late = session.scalar(
        select(func.count())
        .select_from(Erasure)
        .where(equals_literal(Erasure.status, ErasureStatus.REQUESTED), Erasure.requested_at <= now - LATE_AFTER)
    )
    if not late:
        return {}
    noun, verb = ("erasure", "waits") if late == 1 else ("erasures", "wait")
    return {"erasures": f"{late} {noun} {verb} for the payment provider for more than a day; see the log"}


def purge_erasures(session: Session, *, now: datetime.datetime, limit: int = 200) -> int:
    """Delete erasures whose late events have passed and whose customers are deleted; return how many."""
    waiting = select(ErasedCustomer.erasure_id).where(ErasedCustomer.deleted_at.is_(None))
    expired = session.scalars(
        select(Erasure.id)
        .where(
            Erasure.status == ErasureStatus.COMPLETED,
            Erasure.completed_at <= now - ERASURE_RETENTION,
            Erasure.id.not_in(waiting),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if expired:
        session.execute(
            delete(Erasure).where(Erasure.id.in_(expired)).execution_options(synchronize_session=False)
        )
    return len(expired)


def count_unrotatable_erasures(session: Session) -> tuple[int, datetime.datetime | None]:
    """Return how many completed erasures only an older key hashed, and when the last of them is purged.

    Their address is gone. An event of it from before the erasure that arrives late is recognised by the hash.
    """
    key_id = func.substr(Erasure.email_hash, 1, KEY_ID_BYTES)
    left = select(func.count(), func.max(Erasure.completed_at)).where(
        Erasure.status == ErasureStatus.COMPLETED, key_id != session_keyring(session).current_id
    )
    count, last = session.execute(left).one()
    return count, None if last is None else last + ERASURE_RETENTION


def _request(
    session: Session,
    gateway: PaymentGateway,
    address: str,
    *,
    end_recurring: bool,
    requested_by: str,
    now: datetime.datetime,
    request_id: uuid.UUID | None = None,
) -> uuid.UUID:
    """Record the request in the caller's transaction; return its id, or that of one that is still requested.

    Raises:
        RecurringPledgeActive, GatewayMismatch: as `erase`.
        ErasureLinkExpired: `request_id` is not a request of this supporter any more.
    """
    # A job that goes on with an erasure locks its row first, then the events, and then the pledges.
    erasure = _requested(session, address, for_update=True)
    supporters = supporter_ids_for(session, address)
    running = _running(session, supporters)
    if running and not end_recurring:
        ids = ", ".join(str(pledge.id) for pledge in running)
        raise RecurringPledgeActive(
            f"This supporter still gives regularly, so nothing was erased. End these pledges first: {ids}.",
            pledge_ids=tuple(pledge.id for pledge in running),
        )
    for pledge in running:
        if pledge.gateway != SANDBOX_GATEWAY:
            require_same_gateway(pledge, gateway)
    own_requests = session.scalars(
        delete(ErasureRequest).where(ErasureRequest.supporter_id.in_(supporters)).returning(ErasureRequest.id)
    ).all()
    # No email leaves while the gateway is waited for.
    suppress(session, address, reason=SuppressionReason.ERASURE, now=now)
    if erasure is None:
        # The suppression was locked until the request before this one was committed.
        simultaneous = _requested(session, address)
        if simultaneous is not None:
            return simultaneous.id
        if request_id is not None and request_id not in own_requests:
            # The supporter was merged, got another address, or was erased at the same moment.
            raise link_expired()
        erasure = Erasure(
            # The reader's own link shows the state of this erasure, also if staff asked for it.
            id=request_id or max(own_requests, default=None) or new_id(),
            email_hash=lookup_hashes(session, address)[0],
            address=address,
            status=ErasureStatus.REQUESTED,
            requested_by=requested_by,
            requested_at=now,
            next_attempt_at=now + CLAIM_TIMEOUT,
            recurring_ended=0,
        )
        session.add(erasure)
        # The customers refer to the erasure by id, and no relationship orders the inserts.
        session.flush()
    erasure.next_attempt_at = now + CLAIM_TIMEOUT
    _mark_running(erasure, running, now=now)
    # No change of address that is still under way may bring the address back at the gateway.
    session.execute(delete(CustomerUpdate).where(CustomerUpdate.supporter_id.in_(supporters)))
    # Nor may a link that waits to be opened change the address, or merge another supporter into this one.
    session.execute(delete(EmailChange).where(EmailChange.supporter_id.in_(supporters)))
    # Nobody goes on reading the account of a supporter who is being erased.
    session.execute(delete(SignIn).where(SignIn.supporter_id.in_(supporters)))
    # The suppression is seen by the next claim, and not by a worker that has a batch in hand.
    release_unsent(session, supporters)
    return erasure.id


def _alert_if_late(session: Session, erasure_id: uuid.UUID, *, reason: str, now: datetime.datetime) -> None:
    query = select(Erasure.requested_at).where(
        Erasure.id == erasure_id,
        Erasure.status == ErasureStatus.REQUESTED,
        Erasure.requested_at <= now - LATE_AFTER,
    )
    requested_at = session.scalar(query)
    if requested_at is None:
        return
    enqueue_alert(
        session,
        "late_erasure",
        subject="An erasure needs a person",
        body=(
            f"The erasure {erasure_id} was requested on {requested_at:%d %B %Y} and is not done: {reason}\n\n"
            "Until it is, the supporter's data stays here and at the payment provider, and the supporter gets no "
            "email. Mainstay tries again every two minutes. If the key of the payment provider lacks a "
            "permission, docs/payments.md lists those that an erasure needs.\n\n"
            "There may be others, about which no further email comes today."
        ),
        now=now,
    )


def _requested(session: Session, address: str, *, for_update: bool = False) -> Erasure | None:
    query = (
        select(Erasure)
        .where(Erasure.email_hash.in_(lookup_hashes(session, address)), Erasure.status == ErasureStatus.REQUESTED)
        .order_by(Erasure.id)
        .limit(1)
    )
    return session.scalar(query.with_for_update() if for_update else query)


def _complete(
    transaction: TransactionFactory, gateway: PaymentGateway, erasure_id: uuid.UUID, *, clock: Clock
) -> None:
    """Take one step after another until the supporter is erased; each may be repeated after a crash."""
    for _ in range(MAX_STEPS):
        with transaction() as session:
            step = _next_step(session, gateway, erasure_id, now=clock())
        if step is None:
            return
        if step.pledge_to_cancel is not None:
            try:
                cancel_pledge(transaction, gateway, step.pledge_to_cancel, clock=clock)
            except InvalidTransition:
                # It ended at the gateway in the meantime.
                continue
        if step.pledge_to_expire is not None:
            _expire_checkout(transaction, gateway, step.pledge_to_expire, clock=clock)
        if step.customer is not None:
            is_deleted = gateway.erase_customer(step.customer)
            _record_customer(transaction, gateway, erasure_id, step.customer, is_deleted=is_deleted, now=clock())
    raise PaymentsUnavailable("The erasure takes more steps than one run may; the rest follows by itself.")


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One thing to do at the gateway: cancel a pledge, close the checkout of one, or erase a customer."""

    pledge_to_cancel: uuid.UUID | None = None
    pledge_to_expire: uuid.UUID | None = None
    customer: str | None = None


def _next_step(
    session: Session, gateway: PaymentGateway, erasure_id: uuid.UUID, *, now: datetime.datetime
) -> _Step | None:
    """Return the next thing to do at the gateway; None once the supporter is erased."""
    erasure = session.get_one(Erasure, erasure_id, with_for_update=True)
    if erasure.status == ErasureStatus.COMPLETED or erasure.address is None:
        return None
    supporters = supporter_ids_for(session, erasure.address)
    # An event that is being applied has locked its own row before the pledge, and may create the supporter.
    lock_events(session, erasure.address, select(Pledge.id).where(Pledge.supporter_id.in_(supporters)))
    supporters = supporter_ids_for(session, erasure.address)
    running = _running(session, supporters)
    _mark_running(erasure, running, now=now)
    for pledge in running:
        if pledge.gateway == SANDBOX_GATEWAY != gateway.name:
            # Nothing is charged at the sandbox, so there is nobody to ask.
            mark_cancelled(session, pledge, now=now)
            continue
        return _Step(pledge_to_cancel=pledge.id)
    pending = session.scalar(_open_checkouts(supporters, gateway.name))
    if pending is not None:
        return _Step(pledge_to_expire=pending)
    known = _customers(session, erasure_id)
    for reference in _references(session, supporters, gateway.name) - known.keys():
        session.add(
            ErasedCustomer(
                erasure_id=erasure_id, gateway=gateway.name, customer_reference=reference, next_attempt_at=now
            )
        )
        known[reference] = None
    for reference, redacted_at in sorted(known.items()):
        if redacted_at is None:
            return _Step(customer=reference)
    _finish(session, erasure, now=now)
    return None


def _finish(session: Session, erasure: Erasure, *, now: datetime.datetime) -> None:
    erased = erase_supporter(session, erasure.address or "", now=now)
    erasure.found, erasure.pledges, erasure.reminders = erased.found, erased.pledges, erased.reminders
    erasure.status, erasure.address, erasure.completed_at = ErasureStatus.COMPLETED, None, now
    details = {
        "pledges": erased.pledges,
        "reminders": erased.reminders,
        "recurring_ended": erasure.recurring_ended,
    }
    write_audit_entry(session, actor=erasure.requested_by, action="erase_reader", details=details, now=now)


def _running(session: Session, supporters: Collection[uuid.UUID]) -> Sequence[Pledge]:
    """Lock these supporters and their pledges; return the pledges that the gateway goes on charging."""
    lock_with_pledges(session, supporters)
    query = select(Pledge).where(Pledge.supporter_id.in_(supporters)).order_by(Pledge.id)
    return [pledge for pledge in session.scalars(query) if is_recurring_active(pledge)]


def _mark_running(erasure: Erasure, running: Sequence[Pledge], *, now: datetime.datetime) -> None:
    """Request the cancellation of running pledges, which the reconciler completes too."""
    for pledge in running:
        if pledge.cancel_requested_at is None or pledge.cancel_requested_at < erasure.requested_at:
            pledge.cancel_requested_at = now
            erasure.recurring_ended += 1


def _references(session: Session, supporters: Collection[uuid.UUID], gateway: str) -> set[str]:
    """Return the customers of these supporters that no running pledge of another supporter shares."""
    mine = select(Pledge.customer_reference).where(
        Pledge.supporter_id.in_(supporters), Pledge.gateway == gateway, Pledge.customer_reference.is_not(None)
    )
    shared = select(Pledge.customer_reference).where(
        Pledge.gateway == gateway,
        Pledge.customer_reference.in_(mine),
        or_(Pledge.supporter_id.not_in(supporters), Pledge.supporter_id.is_(None)),
        Pledge.status.in_(RUNNING_STATUSES),
    )
    return {reference for reference in session.scalars(mine) if reference} - set(session.scalars(shared))


def _expire_checkout(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, clock: Clock
) -> None:
    """Close the checkout of a pledge that nobody has paid. Idempotent."""
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        # A payment that is under way is booked, and brings no address back.
        pledge.erased_at = pledge.erased_at or clock()
        checkout = pledge.gateway_reference
    if checkout is not None:
        gateway.expire_checkout(checkout)
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        sync_pledge_status(session, pledge, checkout_closed=True, now=clock())


def _open_checkouts(supporters: Collection[uuid.UUID], gateway: str) -> Select[uuid.UUID]:
    """Return the query of a pledge that one of these supporters started and has not paid.

    It has no supporter yet. One who was signed in or came by a link of ours pays as a customer of theirs.
    """
    customers = select(Pledge.customer_reference).where(
        Pledge.supporter_id.in_(supporters), Pledge.gateway == gateway, Pledge.customer_reference.is_not(None)
    )
    reminders = select(Reminder.id).where(Reminder.supporter_id.in_(supporters))
    return (
        select(Pledge.id)
        .where(
            Pledge.gateway == gateway,
            Pledge.status == PledgeStatus.PENDING,
            or_(Pledge.customer_reference.in_(customers), Pledge.reminder_id.in_(reminders)),
        )
        .order_by(Pledge.id)
        .limit(1)
    )


def _customers(session: Session, erasure_id: uuid.UUID) -> dict[str, datetime.datetime | None]:
    query = select(ErasedCustomer.customer_reference, ErasedCustomer.redacted_at)
    rows = session.execute(query.where(ErasedCustomer.erasure_id == erasure_id))
    return {row.customer_reference: row.redacted_at for row in rows}


def _record_customer(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    erasure_id: uuid.UUID,
    reference: str,
    *,
    is_deleted: bool,
    now: datetime.datetime,
) -> None:
    with transaction() as session:
        customer = session.get_one(ErasedCustomer, (erasure_id, gateway.name, reference), with_for_update=True)
        customer.redacted_at = customer.redacted_at or now
        customer.next_attempt_at = now + CUSTOMER_RETRY_INTERVAL
        if is_deleted:
            customer.deleted_at = customer.deleted_at or now


def _claim(session: Session, *, now: datetime.datetime) -> Sequence[uuid.UUID]:
    query = (
        select(Erasure)
        .where(Erasure.status == ErasureStatus.REQUESTED, Erasure.next_attempt_at <= now)
        .order_by(Erasure.next_attempt_at)
        .limit(BATCH_SIZE)
        .with_for_update(skip_locked=True)
        .options(defer(Erasure.address))
    )
    claimed = session.scalars(query).all()
    for erasure in claimed:
        erasure.next_attempt_at = now + CLAIM_TIMEOUT
    return [erasure.id for erasure in claimed]


def _claim_customers(session: Session, gateway: str, *, now: datetime.datetime) -> Sequence[tuple[uuid.UUID, str]]:
    query = (
        select(ErasedCustomer)
        .where(
            ErasedCustomer.gateway == gateway,
            ErasedCustomer.deleted_at.is_(None),
            ErasedCustomer.redacted_at.is_not(None),
            ErasedCustomer.next_attempt_at <= now,
        )
        .order_by(ErasedCustomer.next_attempt_at)
        .limit(BATCH_SIZE)
        .with_for_update(skip_locked=True)
    )
    claimed = session.scalars(query).all()
    for customer in claimed:
        customer.next_attempt_at = now + CUSTOMER_RETRY_INTERVAL
    return [(customer.erasure_id, customer.customer_reference) for customer in claimed]


def kept_data(session: Session, gateway: PaymentGateway, erasure: Erasure) -> tuple[KeptData, ...]:
    """Return what an erasure leaves, as far as it has come."""
    query = select(ErasedCustomer.deleted_at).where(ErasedCustomer.erasure_id == erasure.id)
    deletions = session.scalars(query).all()
    kept = []
    if erasure.pledges:
        kept.append(KeptData.PLEDGES)
    if deletions or (erasure.pledges and gateway.name != SANDBOX_GATEWAY):
        kept.append(KeptData.AT_PROCESSOR)
    if None in deletions:
        kept.append(KeptData.CUSTOMER)
    return (*kept, KeptData.HASH)


def _result(session: Session, gateway: PaymentGateway, erasure: Erasure) -> ErasureResult:
    return ErasureResult(
        id=erasure.id,
        status=erasure.status,
        found=erasure.found or erasure.status == ErasureStatus.REQUESTED,
        pledges=erasure.pledges,
        reminders=erasure.reminders,
        recurring_ended=erasure.recurring_ended,
        kept=tuple(SENTENCES_FOR_STAFF[kept] for kept in kept_data(session, gateway, erasure)),
    )
