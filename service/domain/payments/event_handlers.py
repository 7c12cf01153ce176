"""From news to the pledge that it is about, which is held first: all news of one pledge stand in line."""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PaymentStatus, PledgeStatus
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.email.addresses import normalise_address
from service.domain.errors import InvalidAddress, PaymentMismatch, PledgeNotFound
from service.domain.ledger.records import find_payment, record_dispute, record_payment, record_refund
from service.domain.money import Money
from service.domain.pledges.notifications import enqueue_payment_failed, enqueue_receipts, enqueue_renewal
from service.domain.pledges.pledges import get_pledge, sync_pledge_status
from service.domain.pledges.status import PledgeEvent
from service.domain.pledges.subscriptions import handle_subscription_updated, save_gateway_references
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    CheckoutExpired,
    DisputeUpdated,
    PaymentEvent,
    PaymentFailed,
    PaymentSucceeded,
    RefundUpdated,
    RenewalUpcoming,
    SubscriptionUpdated,
)
from service.domain.supporters import get_or_create_supporter


@dataclass(frozen=True, kw_only=True)
class SandboxCharge:
    """One attempt to move money, by the gateway's own reference for it."""

    reference: str
    money: Money


def record_sandbox_payment(
    session: Session, pledge_id: uuid.UUID, charge: SandboxCharge, *, email: str | None, now: datetime.datetime
) -> Pledge:
    """Record that the reader paid: a single gift is completed, a recurring one becomes active.

    An `email` that no mail can be sent to is left out.

    Raises:
        PledgeNotFound, PaymentMismatch: the report cannot be about this pledge.
    """
    pledge = get_pledge(session, pledge_id, for_update=True)
    if charge.money.amount_minor < pledge.amount_minor:
        raise PaymentMismatch("The payment is less than was pledged.")
    handle_payment_succeeded(
        session, pledge, PaymentSucceeded(reference=charge.reference, money=charge.money, occurred_at=now), now=now
    )
    if email is not None:
        link_supporter(session, pledge, email, now=now)
    return pledge


def record_sandbox_decline(
    session: Session, pledge_id: uuid.UUID, charge: SandboxCharge, *, now: datetime.datetime
) -> Pledge:
    """Record that a payment was declined; the reader may try again, so the pledge stays where it is.

    Raises:
        PledgeNotFound, PaymentMismatch: the report cannot be about this pledge.
    """
    pledge = get_pledge(session, pledge_id, for_update=True)
    failed = PaymentFailed(
        reference=charge.reference, invoice=charge.reference, money=charge.money, occurred_at=now
    )
    handle_payment_failed(session, pledge, failed, now=now)
    return pledge


def handle_payment_succeeded(
    session: Session, pledge: Pledge, paid: PaymentSucceeded, *, now: datetime.datetime
) -> None:
    """Write down money that came for a pledge whose row is held.

    Raises:
        PaymentMismatch: the report cannot be about this pledge, or its one payment came before.
    """
    if pledge.frequency == Frequency.ONCE:
        _validate_one_time_payment(session, pledge, paid)
    payment = record_payment(session, pledge, reference=paid.reference, money=paid.money, at=paid.occurred_at)
    save_gateway_references(
        pledge, subscription=paid.subscription, customer=paid.customer, renews_at=paid.renews_at
    )
    sync_pledge_status(session, pledge, event_to_log=PledgeEvent.RENEW if payment else None, now=now)
    if payment is not None:
        enqueue_receipts(session, pledge, [payment], now=now)


def handle_payment_failed(
    session: Session, pledge: Pledge, failed: PaymentFailed, *, now: datetime.datetime
) -> None:
    """Write down a try that failed, for a pledge whose row is held.

    Raises:
        PaymentMismatch: the report cannot be about this pledge.
    """
    payment = record_payment(
        session, pledge, reference=failed.reference, money=failed.money, at=failed.occurred_at, failed=True
    )
    save_gateway_references(pledge, subscription=failed.subscription)
    if payment is not None:
        event = PledgeEvent.DECLINE if pledge.status == PledgeStatus.PENDING else PledgeEvent.PAYMENT_FAILED
        sync_pledge_status(session, pledge, event_to_log=event, now=now)
        enqueue_payment_failed(session, pledge, failed, now=now)


def handle_refund(
    session: Session, pledge: Pledge, payment: Payment, news: RefundUpdated, *, now: datetime.datetime
) -> None:
    """Write down money that went back, of a payment of a pledge whose row is held.

    Raises:
        PaymentMismatch: the report cannot be about this payment.
    """
    record_refund(session, payment, news)
    sync_pledge_status(session, pledge, now=now)


def handle_dispute(session: Session, payment: Payment, news: DisputeUpdated) -> None:
    """Write down a dispute of a payment of a pledge whose row is held.

    The pledge stays where it is: a bank's word on one payment is not its reader's on the whole.

    Raises:
        PaymentMismatch: the report cannot be about this payment.
    """
    record_dispute(session, payment, news)


def link_supporter(session: Session, pledge: Pledge, email: str, *, now: datetime.datetime) -> None:
    """Learn who gives, unless that is known, and offer the receipts that waited for it."""
    if pledge.supporter_id is not None:
        return
    try:
        address = normalise_address(email)
    except InvalidAddress:
        # Money that arrived is never refused for the address beside it: the gift then stands without a name.
        return
    pledge.supporter_id = get_or_create_supporter(session, address, now=now)
    enqueue_receipts(session, pledge, _successful_payments(session, pledge), now=now)


def _successful_payments(session: Session, pledge: Pledge) -> list[Payment]:
    came = select(Payment).where(Payment.pledge_id == pledge.id, Payment.status != PaymentStatus.FAILED)
    return list(session.scalars(came.order_by(Payment.paid_at)))


def _validate_one_time_payment(session: Session, pledge: Pledge, paid: PaymentSucceeded) -> None:
    if paid.money.currency == pledge.currency and paid.money.amount_minor < pledge.amount_minor:
        raise PaymentMismatch("The payment is less than was pledged.")
    if any(payment.gateway_reference != paid.reference for payment in _successful_payments(session, pledge)):
        raise PaymentMismatch("This one-time pledge was paid already, by another payment.")


class DependencyMissing(Exception):
    """The news came before what it stands on; the message says what that is."""


def handle_event(session: Session, gateway: str, news: PaymentEvent, *, now: datetime.datetime) -> uuid.UUID:
    """Write down what one piece of news says; return the id of its pledge. Repeated, it changes nothing.

    Raises:
        DependencyMissing: what it is about is not known; it may be told of later.
        PledgeNotFound, PaymentMismatch, InvalidTransition: it contradicts what is known; somebody must look.
    """
    if isinstance(news, (RefundUpdated, DisputeUpdated)):
        return _handle_refund_or_dispute(session, gateway, news, now=now)
    pledge = _lock_pledge(session, gateway, news)
    if isinstance(news, PaymentSucceeded):
        handle_payment_succeeded(session, pledge, news, now=now)
    elif isinstance(news, PaymentFailed):
        handle_payment_failed(session, pledge, news, now=now)
    elif isinstance(news, SubscriptionUpdated):
        handle_subscription_updated(session, pledge, news, now=now)
    elif isinstance(news, RenewalUpcoming):
        enqueue_renewal(session, pledge, news, now=now)
    elif isinstance(news, CheckoutExpired):
        sync_pledge_status(session, pledge, checkout_closed=True, now=now)
    else:
        _handle_checkout_completed(session, pledge, news, now=now)
    return pledge.id


def _handle_checkout_completed(
    session: Session, pledge: Pledge, news: CheckoutCompleted, *, now: datetime.datetime
) -> None:
    save_gateway_references(pledge, subscription=news.subscription, customer=news.customer)
    if news.email is not None:
        link_supporter(session, pledge, news.email, now=now)


def _handle_refund_or_dispute(
    session: Session, gateway: str, news: RefundUpdated | DisputeUpdated, *, now: datetime.datetime
) -> uuid.UUID:
    payment = _payment(session, gateway, news)
    pledge = get_pledge(session, payment.pledge_id, for_update=True)
    # Somebody may have changed it until its pledge was held.
    session.refresh(payment)
    if isinstance(news, RefundUpdated):
        handle_refund(session, pledge, payment, news, now=now)
    else:
        handle_dispute(session, payment, news)
    return pledge.id


def _payment(session: Session, gateway: str, news: RefundUpdated | DisputeUpdated) -> Payment:
    payment = find_payment(session, gateway, news.references)
    if payment is None:
        raise DependencyMissing("Its payment is not in the books.")
    return payment


def _lock_pledge(
    session: Session,
    gateway: str,
    news: CheckoutCompleted
    | CheckoutExpired
    | PaymentSucceeded
    | PaymentFailed
    | SubscriptionUpdated
    | RenewalUpcoming,
) -> Pledge:
    pledge_id = news.pledge_id
    if pledge_id is None:
        subscription = None if isinstance(news, (CheckoutCompleted, CheckoutExpired)) else news.subscription
        pledge_id = session.scalar(
            select(Pledge.id).where(Pledge.gateway == gateway, Pledge.subscription_reference == subscription)
        )
        if pledge_id is None:
            raise DependencyMissing("Its subscription is not that of any pledge.")
    pledge = get_pledge(session, pledge_id, for_update=True)
    if pledge.gateway != gateway:
        raise PledgeNotFound(f"The pledge was made with {pledge.gateway}.")
    return pledge
