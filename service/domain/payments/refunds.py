"""Refunding a payment: record the request, call the gateway, record the outcome.

The request's idempotency key prevents a second refund here, and the refund's id prevents one at the gateway.
"""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import PaymentStatus, RefundStatus
from service.db.base import new_id
from service.db.keyring import sha256
from service.db.models.payment import Payment, Refund
from service.domain.errors import (
    IdempotencyKeyReused,
    InvalidTransition,
    PaymentNotFound,
    PaymentRequestRejected,
    RefundTooLarge,
)
from service.domain.ledger.refunds import RESERVED_STATUSES, record_refund
from service.domain.money import Money
from service.domain.pledges.pledges import get_pledge, sync_pledge_status
from service.domain.pledges.subscriptions import require_same_gateway, translate_gateway_errors
from service.domain.ports import Clock, PaymentGateway, RefundParams, TransactionFactory
from service.domain.ports.payment_events import RefundUpdated

REFUNDABLE_STATUSES = (PaymentStatus.SUCCEEDED, PaymentStatus.PARTIALLY_REFUNDED)


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

    Raises:
        PaymentNotFound: no payment has this id.
        IdempotencyKeyReused: the key was sent before with another payment or amount.
        InvalidTransition: the payment failed, is disputed, or is refunded already.
        RefundTooLarge: less than the amount is left.
        GatewayMismatch: the payment was made with another gateway.
        PaymentsUnavailable: the request is recorded; this call, or the reconciler, completes it later.
        PaymentRequestRejected: the gateway refuses; nothing is refunded with this key.
    """
    with transaction() as session:
        payment = _lock_payment(session, payment_id)
        require_same_gateway(get_pledge(session, payment.pledge_id), gateway)
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
        elif refund.payment_id != payment.id or amount_minor not in (None, refund.amount_minor):
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used for another refund; make a new key for a new refund."
            )
    if refund.status == RefundStatus.FAILED:
        raise PaymentRequestRejected(refund.reason or "This refund did not reach the reader.")
    if refund.status != RefundStatus.REQUESTED:
        return refund
    return complete_refund(transaction, gateway, refund.id, clock=clock)


def complete_refund(
    transaction: TransactionFactory, gateway: PaymentGateway, refund_id: uuid.UUID, *, clock: Clock
) -> Refund:
    """Send a recorded refund to the gateway and record the outcome. Idempotent.

    Raises:
        PaymentsUnavailable: the same call may succeed later.
        PaymentRequestRejected: the gateway refuses, and the refund has failed.
    """
    with transaction() as session:
        refund = session.get_one(Refund, refund_id)
        payment = session.get_one(Payment, refund.payment_id)
    params = RefundParams(
        refund_id=refund.id,
        payment_reference=payment.gateway_reference,
        money=Money(refund.amount_minor, refund.currency),
    )
    try:
        with translate_gateway_errors():
            made = gateway.create_refund(params)
    except PaymentRequestRejected as error:
        _save_refund_result(transaction, refund_id, error.detail, clock=clock)
        raise
    return _save_refund_result(transaction, refund_id, made, clock=clock)


def _save_refund_result(
    transaction: TransactionFactory, refund_id: uuid.UUID, result: RefundUpdated | str, *, clock: Clock
) -> Refund:
    """Record the refund as the gateway has it, or why the gateway refused it."""
    with transaction() as session:
        payment_id = session.scalar(select(Refund.payment_id).where(Refund.id == refund_id))
        if payment_id is None:
            raise PaymentNotFound("There is no such refund any more.")
        payment = _lock_payment(session, payment_id)
        # Read after the pledge is locked: the refund's own event may have been applied in the meantime.
        refund = session.get_one(Refund, refund_id)
        if isinstance(result, RefundUpdated):
            record_refund(session, payment, result)
        elif refund.status == RefundStatus.REQUESTED:
            refund.status, refund.reason = RefundStatus.FAILED, result
        sync_pledge_status(session, get_pledge(session, payment.pledge_id), now=clock())
        return refund


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
    earlier = session.scalars(
        select(Refund.amount_minor).where(Refund.payment_id == payment.id, Refund.status.in_(RESERVED_STATUSES))
    )
    left = payment.amount_minor - sum(earlier)
    if requested_minor is None and not left:
        raise InvalidTransition("All of this payment is being refunded already.")
    if requested_minor is not None and requested_minor > left:
        raise RefundTooLarge(f"Only {left} minor units of this payment are left.", field="amount")
    return left if requested_minor is None else requested_minor
