"""Refunding a payment: record the request, call the gateway, record the outcome; list and withdraw requests.

The request's idempotency key prevents a second refund here, and the refund's id prevents one at the gateway. A
refund that cannot be made at once is made later, unless another one was made at the gateway in the meantime:
nobody is refunded twice unless staff ask for it.
"""

import datetime
import uuid
from dataclasses import dataclass

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.enums import PaymentStatus, RefundStatus
from service.db.base import new_id
from service.db.keyring import sha256
from service.db.models.payment import Dispute, Payment, Refund
from service.domain.errors import (
    IdempotencyKeyReused,
    InvalidTransition,
    PaymentNotFound,
    PaymentRequestRejected,
    PaymentsUnavailable,
    RefundAlreadyMade,
    RefundNotFound,
    RefundTooLarge,
)
from service.domain.ledger.refunds import MADE_STATUSES, RESERVED_STATUSES, record_refund
from service.domain.money import Money, format_major_units
from service.domain.pagination import Page, decode_cursor, encode_cursor
from service.domain.pledges.notifications import announcing_refunds
from service.domain.pledges.pledges import get_pledge, sync_pledge_status
from service.domain.pledges.subscriptions import require_same_gateway, translate_gateway_errors
from service.domain.ports import (
    Clock,
    GatewayRefunds,
    GatewayTimeout,
    PaymentGateway,
    RefundParams,
    TransactionFactory,
)
from service.domain.ports.payment_events import RefundUpdated

REFUNDABLE_STATUSES = (PaymentStatus.SUCCEEDED, PaymentStatus.PARTIALLY_REFUNDED)
# Longer than a call may take here, and than Stripe may take to execute one whose answer never arrives.
LEASE = datetime.timedelta(minutes=2)
# The gateway counts in whole seconds, and its clock differs from ours.
CLOCK_TOLERANCE = datetime.timedelta(seconds=5)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class RefundFilter:
    """Which refunds to list. None means any."""

    status: RefundStatus | None = None


def refund_payment(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    payment_id: uuid.UUID,
    *,
    amount_minor: int | None,
    key: str,
    clock: Clock,
) -> Refund:
    """Refund an amount in minor units, or all that is left of the payment; the same key returns the same refund.

    The refund is still `requested` if the gateway does not answer: the same call, or the reconciler, completes it.

    Raises:
        PaymentNotFound: no payment has this id.
        IdempotencyKeyReused: the key was sent before with another payment or amount.
        InvalidTransition: the payment failed, is disputed, or is refunded already.
        RefundTooLarge: less than the amount is left.
        GatewayMismatch: the payment was made with another gateway.
        PaymentRequestRejected: the gateway refuses, the refund was withdrawn, or another one was made meanwhile;
            nothing is refunded with this key.
    """
    with transaction() as session:
        payment = _lock_payment(session, payment_id)
        require_same_gateway(get_pledge(session, payment.pledge_id), gateway)
        is_late = True
        refund = session.scalar(select(Refund).where(Refund.request_hash == sha256(key)))
        if refund is None:
            refund = Refund(
                id=new_id(),
                payment_id=payment.id,
                status=RefundStatus.REQUESTED,
                amount_minor=_refundable_amount(session, payment, amount_minor),
                currency=payment.currency,
                request_hash=sha256(key),
                created_at=clock(),
            )
            session.add(refund)
            is_late = False
        elif refund.payment_id != payment.id or amount_minor not in (None, refund.amount_minor):
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used for another refund; make a new key for a new refund."
            )
    if refund.status == RefundStatus.WITHDRAWN:
        raise PaymentRequestRejected("This refund was withdrawn. Use a new Idempotency-Key for another one.")
    if refund.status in (RefundStatus.FAILED, RefundStatus.CANCELLED):
        raise PaymentRequestRejected(refund.reason or "This refund did not reach the reader.")
    if refund.status != RefundStatus.REQUESTED:
        return refund
    try:
        return complete_refund(transaction, gateway, refund.id, clock=clock, is_late=is_late)
    except PaymentsUnavailable:
        with transaction() as session:
            return get_refund(session, refund.id)


def complete_refund(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    refund_id: uuid.UUID,
    *,
    clock: Clock,
    is_late: bool = True,
) -> Refund:
    """Make a requested refund at the gateway and record the outcome; any other stays as it is. Idempotent.

    The first attempt, during the request itself, is not `is_late`.

    Raises:
        RefundNotFound: no refund has this id.
        PaymentsUnavailable: the same call may succeed later.
        PaymentRequestRejected: the refund has failed: the gateway refuses it, or what happened to the payment
            since the request rules it out.
    """
    with transaction() as session:
        payment, refund = _lock_refund(session, refund_id)
        if refund.status != RefundStatus.REQUESTED or _is_locked(refund, now=clock()):
            return refund
        # Once a call may have been made, only the gateway knows whether this refund exists.
        objection = None if refund.locked_until else _objection_to(session, payment, refund, is_late=is_late)
        _fail(refund, objection)
    if objection is not None:
        raise PaymentRequestRejected(objection)
    try:
        with translate_gateway_errors():
            found = gateway.find_refunds(payment.gateway_reference)
    except PaymentRequestRejected as error:
        _save_refund_result(transaction, refund_id, error.detail, clock=clock)
        raise
    with transaction() as session:
        payment, refund = _lock_refund(session, refund_id)
        is_locked = _is_locked(refund, now=clock())
        _record_found(session, payment, found, now=clock())
        is_ours_to_make = refund.status == RefundStatus.REQUESTED and not is_locked
        objection = _objection_to(session, payment, refund, is_late=is_late) if is_ours_to_make else None
        _fail(refund, objection)
        if is_ours_to_make and objection is None:
            refund.locked_until = clock() + LEASE
    if objection is not None:
        raise PaymentRequestRejected(objection)
    if not is_ours_to_make:
        return refund
    return _make(transaction, gateway, refund, found.payment_reference, clock=clock)


def withdraw_refund(
    transaction: TransactionFactory, gateway: PaymentGateway, refund_id: uuid.UUID, *, clock: Clock
) -> Refund:
    """Withdraw a requested refund; one that is withdrawn already stays so.

    If a call to the gateway may have made it, the gateway is asked first.

    Raises:
        RefundNotFound: no refund has this id.
        RefundAlreadyMade: it was made or has failed, or is being made right now.
        GatewayMismatch: the payment was made with another gateway.
        PaymentsUnavailable: the refund may have been made, and the gateway does not answer.
    """
    with transaction() as session:
        payment, refund = _lock_refund(session, refund_id)
        if refund.status == RefundStatus.WITHDRAWN:
            return refund
        _require_withdrawable(refund, now=clock())
        if refund.locked_until is None:
            return _withdraw(refund)
        require_same_gateway(get_pledge(session, payment.pledge_id), gateway)
    try:
        with translate_gateway_errors():
            found = gateway.find_refunds(payment.gateway_reference)
    except PaymentsUnavailable as error:
        raise PaymentsUnavailable(
            "Stripe does not answer right now, and this refund may have been made. It can be withdrawn, if it was "
            "not, as soon as Stripe answers.",
            retry_after_seconds=error.retry_after_seconds,
        ) from error
    with transaction() as session:
        payment, refund = _lock_refund(session, refund_id)
        _record_found(session, payment, found, now=clock())
    with transaction() as session:
        _, refund = _lock_refund(session, refund_id)
        if refund.status != RefundStatus.WITHDRAWN:
            _require_withdrawable(refund, now=clock())
            _withdraw(refund)
        return refund


def get_refund(session: Session, refund_id: uuid.UUID) -> Refund:
    """Return the refund.

    Raises:
        RefundNotFound: no refund has this id.
    """
    refund = session.get(Refund, refund_id)
    if refund is None:
        raise RefundNotFound("There is no refund with this id.")
    return refund


def list_refunds(session: Session, filters: RefundFilter, *, limit: int, cursor: str | None) -> Page:
    """Return up to `limit` refunds, the newest first.

    Raises:
        InvalidCursor: this list did not issue the cursor.
    """
    query = select(Refund).order_by(Refund.id.desc()).limit(limit + 1)
    if filters.status is not None:
        query = query.where(Refund.status == filters.status)
    if cursor is not None:
        query = query.where(Refund.id < decode_cursor(cursor))
    rows = list(session.scalars(query))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def _make(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    refund: Refund,
    payment_reference: str,
    *,
    clock: Clock,
) -> Refund:
    """Create a leased refund at the gateway and record the outcome."""
    params = RefundParams(
        refund_id=refund.id,
        payment_reference=payment_reference,
        money=Money(refund.amount_minor, refund.currency),
    )
    try:
        with translate_gateway_errors():
            made = gateway.create_refund(params)
    except PaymentRequestRejected as error:
        _save_refund_result(transaction, refund.id, error.detail, clock=clock)
        raise
    except PaymentsUnavailable as error:
        if not isinstance(error.__cause__, GatewayTimeout):
            _release(transaction, refund.id, now=clock())
        raise
    result = _save_refund_result(transaction, refund.id, made, clock=clock)
    if made.status in (RefundStatus.FAILED, RefundStatus.CANCELLED):
        raise PaymentRequestRejected(result.reason or "This refund did not reach the reader.")
    return result


def _save_refund_result(
    transaction: TransactionFactory, refund_id: uuid.UUID, result: RefundUpdated | str, *, clock: Clock
) -> Refund:
    """Record the refund as the gateway has it, or why the gateway refused it."""
    with transaction() as session:
        # Read after the pledge is locked: the refund's own event may have been applied in the meantime.
        payment, refund = _lock_refund(session, refund_id)
        pledge = get_pledge(session, payment.pledge_id)
        if isinstance(result, RefundUpdated):
            with announcing_refunds(session, pledge, payment, now=clock()):
                record_refund(session, payment, result)
        elif refund.status == RefundStatus.REQUESTED:
            _fail(refund, result)
        sync_pledge_status(session, pledge, now=clock())
        return refund


def _release(transaction: TransactionFactory, refund_id: uuid.UUID, *, now: datetime.datetime) -> None:
    """End the lease. That it was taken stays on record: the gateway may have executed the call."""
    with transaction() as session:
        _, refund = _lock_refund(session, refund_id)
        if refund.status == RefundStatus.REQUESTED:
            refund.locked_until = now


def _record_found(session: Session, payment: Payment, found: GatewayRefunds, *, now: datetime.datetime) -> None:
    pledge = get_pledge(session, payment.pledge_id)
    with announcing_refunds(session, pledge, payment, now=now):
        for refund in found.refunds:
            record_refund(session, payment, refund)
    sync_pledge_status(session, pledge, now=now)


def _objection_to(session: Session, payment: Payment, refund: Refund, *, is_late: bool) -> str | None:
    """Return why a requested refund must not be made any more: what happened to the payment since the request.

    A refund that was recorded after the request was unknown to whoever asked. If ours is late, that is enough: the
    gateway's clock need not agree with ours, and a refund that was not made can still be made.
    """
    recorded_meanwhile = select(func.sum(Refund.amount_minor)).where(
        Refund.payment_id == payment.id,
        Refund.request_hash.is_(None),
        Refund.status.in_(MADE_STATUSES),
        Refund.id > refund.id,
    )
    if not is_late:
        made_since = refund.created_at - CLOCK_TOLERANCE
        recorded_meanwhile = recorded_meanwhile.where(Refund.created_at >= made_since)
    made_meanwhile = session.scalar(recorded_meanwhile)
    if made_meanwhile:
        return (
            f"Another refund of {_format(int(made_meanwhile), payment)} was made at Stripe meanwhile. "
            "Request it again if both are meant."
        )
    if payment.status not in REFUNDABLE_STATUSES:
        return f"This payment is {payment.status.replace('_', ' ')}, so it cannot be refunded."
    left = _amount_left(session, payment) + refund.amount_minor
    if refund.amount_minor > left:
        return f"Only {_format(max(left, 0), payment)} of this payment is left to refund."
    return None


def _fail(refund: Refund, reason: str | None) -> None:
    if reason is not None:
        refund.status, refund.reason, refund.locked_until = RefundStatus.FAILED, reason, None
        log.warning("refund_not_made", refund=str(refund.id), payment=str(refund.payment_id), reason=reason)


def _require_withdrawable(refund: Refund, *, now: datetime.datetime) -> None:
    if refund.status in MADE_STATUSES:
        raise RefundAlreadyMade("This refund was made, so it cannot be withdrawn.")
    if refund.status != RefundStatus.REQUESTED:
        raise RefundAlreadyMade("This refund failed or was cancelled, so there is nothing to withdraw.")
    if _is_locked(refund, now=now):
        raise RefundAlreadyMade("This refund is being made right now, so it cannot be withdrawn.")


def _withdraw(refund: Refund) -> Refund:
    refund.status = RefundStatus.WITHDRAWN
    log.info("refund_withdrawn", refund=str(refund.id), payment=str(refund.payment_id))
    return refund


def _is_locked(refund: Refund, *, now: datetime.datetime) -> bool:
    return refund.locked_until is not None and refund.locked_until > now


def _lock_refund(session: Session, refund_id: uuid.UUID) -> tuple[Payment, Refund]:
    """Lock the pledge of a refund; return its payment and the refund as they are after that."""
    payment_id = session.scalar(select(Refund.payment_id).where(Refund.id == refund_id))
    if payment_id is None:
        raise RefundNotFound("There is no refund with this id.")
    return _lock_payment(session, payment_id), session.get_one(Refund, refund_id)


def _lock_payment(session: Session, payment_id: uuid.UUID) -> Payment:
    pledge_id = session.scalar(select(Payment.pledge_id).where(Payment.id == payment_id))
    if pledge_id is None:
        raise PaymentNotFound("There is no payment with this id.")
    get_pledge(session, pledge_id, for_update=True)
    return session.get_one(Payment, payment_id)


def _refundable_amount(session: Session, payment: Payment, requested_minor: int | None) -> int:
    """Return the amount to refund; earlier refunds count from their request on, even while pending."""
    if payment.status not in REFUNDABLE_STATUSES:
        raise InvalidTransition(f"This payment is {payment.status.replace('_', ' ')}, so it cannot be refunded.")
    left = _amount_left(session, payment)
    if requested_minor is None and left <= 0:
        raise InvalidTransition("All of this payment is being refunded already.")
    if requested_minor is not None and requested_minor > left:
        raise RefundTooLarge(f"Only {max(left, 0)} minor units of this payment are left.", field="amount")
    return left if requested_minor is None else requested_minor


def _amount_left(session: Session, payment: Payment) -> int:
    reserved = session.scalar(
        select(func.sum(Refund.amount_minor)).where(
            Refund.payment_id == payment.id, Refund.status.in_(RESERVED_STATUSES)
        )
    )
    withheld = session.scalar(select(func.sum(Dispute.withheld_minor)).where(Dispute.payment_id == payment.id))
    return payment.amount_minor - int(reserved or 0) - int(withheld or 0)


def _format(amount_minor: int, payment: Payment) -> str:
    return f"{format_major_units(Money(amount_minor, payment.currency))} {payment.currency}"
