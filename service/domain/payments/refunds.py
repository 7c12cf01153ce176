"""Sending money of one payment back: written down as wanted, ordered of the gateway, written down as done.

The request's own key makes asking twice harmless, and the refund's id does the same at the gateway.
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
from service.domain.ledger.records import recompute_payment_status, update_refund_status
from service.domain.money import Money
from service.domain.pledges.pledges import get_pledge, sync_pledge_status
from service.domain.pledges.subscriptions import require_same_gateway, translate_gateway_errors
from service.domain.ports import Clock, PaymentGateway, RefundParams, TransactionFactory

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
    """Send back an amount of a payment, or all that is left of it; the same key again yields the same refund.

    Raises:
        PaymentNotFound: there is none with this id.
        IdempotencyKeyReused: the key came before with another payment or amount.
        InvalidTransition: the payment failed, is disputed, or went back already.
        RefundTooLarge: less than that is left.
        GatewayMismatch: the gateway in use knows nothing of the payment.
        PaymentsUnavailable: the wish is written down, and this call or the reconciler will fulfil it.
        PaymentRequestRejected: the gateway says no; nothing goes back under this key.
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
    return (
        refund
        if refund.status == RefundStatus.SUCCEEDED
        else complete_refund(transaction, gateway, refund.id, clock=clock)
    )


def complete_refund(
    transaction: TransactionFactory, gateway: PaymentGateway, refund_id: uuid.UUID, *, clock: Clock
) -> Refund:
    """Order what was written down as wanted, and write down what came of it; harmless if that was done before.

    Raises:
        PaymentsUnavailable: the same call may be made again.
        PaymentRequestRejected: the gateway says no, and the refund has failed.
    """
    with transaction() as session:
        refund = session.get_one(Refund, refund_id)
        payment = session.get_one(Payment, refund.payment_id)
    order = RefundParams(
        refund_id=refund.id,
        payment_reference=payment.gateway_reference,
        money=Money(refund.amount_minor, refund.currency),
    )
    try:
        with translate_gateway_errors():
            reference = gateway.create_refund(order)
    except PaymentRequestRejected as error:
        _save_refund_result(transaction, refund_id, RefundStatus.FAILED, clock=clock, reason=error.detail)
        raise
    return _save_refund_result(transaction, refund_id, RefundStatus.SUCCEEDED, clock=clock, reference=reference)


def _save_refund_result(
    transaction: TransactionFactory,
    refund_id: uuid.UUID,
    status: RefundStatus,
    *,
    clock: Clock,
    reference: str | None = None,
    reason: str | None = None,
) -> Refund:
    with transaction() as session:
        payment_id = session.scalar(select(Refund.payment_id).where(Refund.id == refund_id))
        if payment_id is None:
            raise PaymentNotFound("There is no such refund any more.")
        payment = _lock_payment(session, payment_id)
        # Read only now that nobody else writes about this pledge: its event may have been first.
        refund = session.get_one(Refund, refund_id)
        update_refund_status(refund, status, reference=reference)
        refund.reason = refund.reason or reason
        recompute_payment_status(session, payment)
        sync_pledge_status(session, get_pledge(session, payment.pledge_id), now=clock())
        return refund


def _lock_payment(session: Session, payment_id: uuid.UUID) -> Payment:
    pledge_id = session.scalar(select(Payment.pledge_id).where(Payment.id == payment_id))
    if pledge_id is None:
        raise PaymentNotFound("There is no payment with this id.")
    get_pledge(session, pledge_id, for_update=True)
    return session.get_one(Payment, payment_id)


def _refundable_amount(session: Session, payment: Payment, wanted_minor: int | None) -> int:
    """Return how much is to go back; what others asked for before, and is on its way, is not left any more."""
    if payment.status not in REFUNDABLE_STATUSES:
        raise InvalidTransition(
            f"This payment is {payment.status.replace('_', ' ')}, so nothing of it can go back."
        )
    going = session.scalars(
        select(Refund.amount_minor).where(Refund.payment_id == payment.id, Refund.status != RefundStatus.FAILED)
    )
    left = payment.amount_minor - sum(going)
    if wanted_minor is None and not left:
        raise InvalidTransition("All of this payment is on its way back already.")
    if wanted_minor is not None and wanted_minor > left:
        raise RefundTooLarge(f"Only {left} minor units of this payment are left.", field="amount")
    return left if wanted_minor is None else wanted_minor
