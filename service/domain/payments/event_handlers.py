"""Applying the events of a payment gateway, and the sandbox's reports, to pledges and the ledger.

Every handler locks the pledge first, so that events about one pledge are applied one after the other, and applying
an event again changes nothing.
"""

import dataclasses
import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PaymentStatus, PledgeStatus
from service.db.models.payment import Payment
from service.db.models.pledge import FormerSubscription, Pledge
from service.domain.email.addresses import normalise_address
from service.domain.errors import InvalidAddress, PaymentMismatch, PledgeNotFound
from service.domain.event_addresses import was_erased_since
from service.domain.ledger.balance import insert_balance_transactions
from service.domain.ledger.disputes import record_dispute, record_fraud_warning
from service.domain.ledger.records import find_payment, record_payment, withdraw_provisional_payment
from service.domain.ledger.refunds import record_refund, record_refunded_total
from service.domain.money import Money
from service.domain.payments.alerts import alert_dispute, alert_fraud_warning
from service.domain.payments.customer_addresses import follow_customer
from service.domain.pledges.notifications import (
    announcing_refunds,
    enqueue_action_required,
    enqueue_known_failure,
    enqueue_payment_failed,
    enqueue_receipts,
    enqueue_renewal,
)
from service.domain.pledges.open_invoices import close_invoice, record_open_invoice, request_invoice_retries
from service.domain.pledges.pledges import get_pledge, sync_pledge_status
from service.domain.pledges.status import PledgeEvent
from service.domain.pledges.subscription_reports import handle_subscription_updated, save_gateway_references
from service.domain.pledges.subscriptions import is_recurring_active
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    CheckoutExpired,
    CustomerUpdated,
    DisputeUpdated,
    FraudWarned,
    InvoiceSettled,
    PaymentActionRequired,
    PaymentBounced,
    PaymentEvent,
    PaymentFailed,
    PaymentMethodChanged,
    PaymentSucceeded,
    RefundedTotalUpdated,
    RefundUpdated,
    RenewalUpcoming,
    SubscriptionUpdated,
)
from service.domain.reminders.after_payment import skip_waiting_reminders
from service.domain.supporters import get_or_create_supporter

# These name their pledge, because a checkout has no subscription before it is completed.
CHECKOUT_EVENTS = (CheckoutCompleted, CheckoutExpired, PaymentBounced)

UNKNOWN_SUBSCRIPTION = "Its subscription is not that of any pledge."
UNKNOWN_PAYMENT = "Its payment is not recorded here."
# How the release before words it, which may still run during a deployment.
FORMER_UNKNOWN_PAYMENT = "Its payment is not in the books."
UNKNOWN_CUSTOMER = "Its customer is not that of any pledge."
UNKNOWN_SUPPORTER = "The pledge of its customer has no supporter yet."
PAID_LESS = "The payment is less than was pledged."
PAID_ALREADY = "This one-time pledge was paid already, by another payment."


class DependencyMissing(Exception):
    """The event refers to a payment or subscription that is not recorded yet; the message says which."""


@dataclass(frozen=True, kw_only=True)
class SandboxCharge:
    """One attempt to charge a reader, by the sandbox's own reference."""

    reference: str
    money: Money


def handle_event(
    session: Session, gateway: str, event: PaymentEvent, *, now: datetime.datetime, attached: bool = False
) -> uuid.UUID:
    """Apply one event; return the id of its pledge. Idempotent.

    An event that staff `attached` to its pledge may bring a one-time pledge another payment.

    Raises:
        DependencyMissing: the event refers to something that a later event may bring.
        PledgeNotFound, PaymentMismatch, InvalidTransition: it contradicts what is recorded; an operator must look.
    """
    if isinstance(event, (RefundUpdated, RefundedTotalUpdated, DisputeUpdated, FraudWarned)):
        return _handle_refund_or_dispute(session, gateway, event, now=now)
    if isinstance(event, PaymentMethodChanged):
        pledge_ids = request_invoice_retries(session, gateway, event.customer, at=event.occurred_at)
        if not pledge_ids:
            raise DependencyMissing(UNKNOWN_CUSTOMER)
        return pledge_ids[0]
    if isinstance(event, CustomerUpdated):
        return _handle_customer_updated(session, gateway, event)
    pledge = _lock_pledge(session, gateway, event)
    if _is_about_former_subscription(session, pledge, event):
        if isinstance(event, PaymentSucceeded):
            event = dataclasses.replace(event, subscription=None, customer=None, renews_at=None)
        elif isinstance(event, CheckoutCompleted):
            # It still tells whose pledge this is.
            event = dataclasses.replace(event, subscription=None, customer=None)
        else:
            return pledge.id
    if isinstance(event, PaymentSucceeded):
        handle_payment_succeeded(session, pledge, event, now=now, attached=attached)
    elif isinstance(event, PaymentFailed):
        handle_payment_failed(session, pledge, event, now=now)
    elif isinstance(event, SubscriptionUpdated):
        handle_subscription_updated(session, pledge, event, now=now)
    elif isinstance(event, PaymentActionRequired):
        _handle_action_required(session, pledge, event, now=now)
    elif isinstance(event, InvoiceSettled):
        _handle_invoice_settled(session, pledge, event, now=now)
    elif isinstance(event, RenewalUpcoming):
        enqueue_renewal(session, pledge, event, now=now)
    elif isinstance(event, CheckoutExpired):
        sync_pledge_status(session, pledge, checkout_closed=True, now=now)
    elif isinstance(event, PaymentBounced):
        pledge.payment_bounced_at = _earliest(pledge.payment_bounced_at, event.occurred_at)
        sync_pledge_status(session, pledge, now=now)
    else:
        _handle_checkout_completed(session, pledge, event, now=now)
    end_if_erased(pledge, now=now)
    return pledge.id


def mark_erased(pledge: Pledge, *, now: datetime.datetime) -> None:
    """Mark a pledge as that of an erased supporter, and end it."""
    pledge.erased_at = pledge.erased_at or now
    # The gateway's page of an invoice shows the name and the address of its payer.
    pledge.open_invoice_url = None
    end_if_erased(pledge, now=now)


def end_if_erased(pledge: Pledge, *, now: datetime.datetime) -> None:
    """Request the cancellation of a recurring pledge whose supporter was erased.

    Nobody would be told of its payments. The job that completes pending operations ends it at the gateway.
    """
    if pledge.erased_at is not None and is_recurring_active(pledge):
        pledge.cancel_requested_at = pledge.cancel_requested_at or now


def record_sandbox_payment(
    session: Session, pledge_id: uuid.UUID, charge: SandboxCharge, *, email: str | None, now: datetime.datetime
) -> Pledge:
    """Record a payment in the sandbox: a one-time pledge is completed, a recurring one becomes active.

    An invalid `email` is ignored.

    Raises:
        PledgeNotFound, PaymentMismatch: the charge does not fit the pledge.
    """
    pledge = get_pledge(session, pledge_id, for_update=True)
    if charge.money.amount_minor < pledge.amount_minor:
        raise PaymentMismatch(PAID_LESS)
    handle_payment_succeeded(
        session, pledge, PaymentSucceeded(reference=charge.reference, money=charge.money, occurred_at=now), now=now
    )
    if email is not None:
        link_supporter(session, pledge, email, now=now)
    return pledge


def record_sandbox_decline(
    session: Session, pledge_id: uuid.UUID, charge: SandboxCharge, *, now: datetime.datetime
) -> Pledge:
    """Record a declined payment in the sandbox; the pledge stays pending, because the reader may try again.

    Raises:
        PledgeNotFound, PaymentMismatch: the charge does not fit the pledge.
    """
    pledge = get_pledge(session, pledge_id, for_update=True)
    event = PaymentFailed(
        reference=charge.reference, invoice=charge.reference, money=charge.money, occurred_at=now
    )
    handle_payment_failed(session, pledge, event, now=now)
    return pledge


def handle_payment_succeeded(
    session: Session, pledge: Pledge, event: PaymentSucceeded, *, now: datetime.datetime, attached: bool = False
) -> None:
    """Record a payment of a locked pledge and enqueue its receipt; `attached` as in `handle_event`.

    Raises:
        PaymentMismatch: the payment does not fit the pledge, or the one-time pledge is paid already.
    """
    if pledge.frequency == Frequency.ONCE and not attached:
        _validate_one_time_payment(session, pledge, event)
    payment = None
    # After an invoice that took no money, the total of the checkout is no payment. If it was a later invoice, that
    # of the checkout brings the payment.
    if not event.is_provisional or pledge.settled_outside_at is None:
        payment = record_payment(
            session,
            pledge,
            reference=event.reference,
            money=event.money,
            at=event.occurred_at,
            is_provisional=event.is_provisional,
        )
    close_invoice(pledge, event.reference)
    save_gateway_references(
        pledge, subscription=event.subscription, customer=event.customer, renews_at=event.renews_at
    )
    sync_pledge_status(session, pledge, event_to_log=PledgeEvent.RENEW if payment else None, now=now)
    if payment is not None:
        enqueue_receipts(session, pledge, [payment], now=now)
        if pledge.supporter_id is not None:
            skip_waiting_reminders(session, pledge, paid_at=payment.paid_at, now=now)


def handle_payment_failed(
    session: Session, pledge: Pledge, event: PaymentFailed, *, now: datetime.datetime
) -> None:
    """Record a failed payment of a locked pledge and enqueue the email about it.

    Raises:
        PaymentMismatch: the payment does not fit the pledge.
    """
    payment = record_payment(
        session, pledge, reference=event.reference, money=event.money, at=event.occurred_at, failed=True
    )
    save_gateway_references(pledge, subscription=event.subscription)
    if event.subscription is not None:
        record_open_invoice(session, pledge, invoice=event.invoice, url=event.invoice_url, at=event.occurred_at)
    if payment is not None:
        is_pending = pledge.status == PledgeStatus.PENDING
        pledge_event = PledgeEvent.DECLINE if is_pending else PledgeEvent.PAYMENT_FAILED
        sync_pledge_status(session, pledge, event_to_log=pledge_event, now=now)
        enqueue_payment_failed(session, pledge, event, now=now)


def handle_refund(
    session: Session,
    pledge: Pledge,
    payment: Payment,
    event: RefundUpdated | RefundedTotalUpdated,
    *,
    now: datetime.datetime,
) -> None:
    """Record a refund of a payment whose pledge is locked.

    Raises:
        PaymentMismatch: the refund contradicts what is recorded.
    """
    with announcing_refunds(session, pledge, payment, now=now):
        if isinstance(event, RefundUpdated):
            record_refund(session, payment, event)
        else:
            record_refunded_total(session, payment, event)
    sync_pledge_status(session, pledge, now=now)


def handle_dispute(session: Session, payment: Payment, event: DisputeUpdated, *, now: datetime.datetime) -> None:
    """Record a dispute of a payment whose pledge is locked, and tell staff if it waits for their response.

    The pledge keeps its status: a dispute of one payment does not end a reader's support.

    Raises:
        PaymentMismatch: the dispute does not fit the payment.
    """
    owners = {item.reference: payment.id for item in event.balance_transactions}
    insert_balance_transactions(session, event.balance_transactions, owners)
    dispute = record_dispute(session, payment, event)
    if (dispute.status, dispute.status_at) == (event.status, event.occurred_at):
        alert_dispute(session, payment, dispute, now=now)


def handle_fraud_warning(
    session: Session, payment: Payment, event: FraudWarned, *, now: datetime.datetime
) -> None:
    """Record an early fraud warning, and tell staff."""
    if record_fraud_warning(session, payment, event):
        alert_fraud_warning(session, payment, event, now=now)


def link_supporter(
    session: Session,
    pledge: Pledge,
    email: str,
    *,
    now: datetime.datetime,
    typed_since: datetime.datetime | None = None,
) -> None:
    """Link the pledge to the supporter with this address and enqueue the receipts of its payments so far.

    A pledge that has a supporter keeps it, and an erased one gets none. `typed_since` is the earliest instant at
    which the address may have been typed: if it was erased since, the pledge is erased too.
    """
    if pledge.supporter_id is not None or pledge.erased_at is not None:
        return
    try:
        address = normalise_address(email)
    except InvalidAddress:
        # A payment is never refused for the address that came with it. The pledge stays without a supporter.
        return
    if typed_since is not None and was_erased_since(session, {address}, typed_since):
        mark_erased(pledge, now=now)
        return
    pledge.supporter_id = get_or_create_supporter(session, address, now=now)
    payments = _successful_payments(session, pledge)
    enqueue_receipts(session, pledge, payments, now=now)
    if payments:
        skip_waiting_reminders(session, pledge, paid_at=payments[-1].paid_at, now=now)


def _handle_checkout_completed(
    session: Session, pledge: Pledge, event: CheckoutCompleted, *, now: datetime.datetime
) -> None:
    save_gateway_references(pledge, subscription=event.subscription, customer=event.customer)
    if event.email is not None:
        typed_since = event.completed_at or pledge.created_at
        link_supporter(session, pledge, event.email, typed_since=typed_since, now=now)
    pledge.checkout_completed_at = _earliest(pledge.checkout_completed_at, event.occurred_at)
    sync_pledge_status(session, pledge, now=now)
    enqueue_known_failure(session, pledge, now=now)


def _handle_action_required(
    session: Session, pledge: Pledge, event: PaymentActionRequired, *, now: datetime.datetime
) -> None:
    save_gateway_references(pledge, subscription=event.subscription)
    record_open_invoice(session, pledge, invoice=event.invoice, url=event.invoice_url, at=event.occurred_at)
    if pledge.action_required_at is None or pledge.action_required_at < event.occurred_at:
        pledge.action_required_at = event.occurred_at
    sync_pledge_status(session, pledge, now=now)
    enqueue_action_required(session, pledge, event, now=now)


def _handle_invoice_settled(
    session: Session, pledge: Pledge, event: InvoiceSettled, *, now: datetime.datetime
) -> None:
    """Count the pledge as paid up. No money moved at the gateway, so the ledger has no payment and no receipt."""
    save_gateway_references(
        pledge, subscription=event.subscription, customer=event.customer, renews_at=event.renews_at
    )
    if pledge.settled_outside_at is None or pledge.settled_outside_at < event.occurred_at:
        pledge.settled_outside_at = event.occurred_at
    withdraw_provisional_payment(session, pledge, event.invoice)
    close_invoice(pledge, event.invoice)
    sync_pledge_status(session, pledge, now=now)


def _earliest(known: datetime.datetime | None, reported: datetime.datetime) -> datetime.datetime:
    return reported if known is None else min(known, reported)


def _handle_refund_or_dispute(
    session: Session,
    gateway: str,
    event: RefundUpdated | RefundedTotalUpdated | DisputeUpdated | FraudWarned,
    *,
    now: datetime.datetime,
) -> uuid.UUID:
    payment = find_payment(session, gateway, event.references)
    if payment is None:
        raise DependencyMissing(UNKNOWN_PAYMENT)
    pledge = get_pledge(session, payment.pledge_id, for_update=True)
    # Another transaction may have changed the payment before the pledge was locked.
    session.refresh(payment)
    if isinstance(event, DisputeUpdated):
        handle_dispute(session, payment, event, now=now)
    elif isinstance(event, FraudWarned):
        handle_fraud_warning(session, payment, event, now=now)
    else:
        handle_refund(session, pledge, payment, event, now=now)
    return pledge.id


def _handle_customer_updated(session: Session, gateway: str, event: CustomerUpdated) -> uuid.UUID:
    pledges = session.scalars(
        select(Pledge)
        .where(Pledge.gateway == gateway, Pledge.customer_reference == event.customer)
        .order_by(Pledge.id)
    ).all()
    supporter_ids = {pledge.supporter_id for pledge in pledges} - {None}
    if len(supporter_ids) > 1:
        raise PaymentMismatch("The pledges of its customer belong to several supporters.")
    for supporter_id in supporter_ids:
        if supporter_id is not None:
            follow_customer(session, gateway, supporter_id, event)
    if not supporter_ids and not any(pledge.erased_at for pledge in pledges):
        raise DependencyMissing(UNKNOWN_SUPPORTER)
    return pledges[0].id


def _lock_pledge(
    session: Session,
    gateway: str,
    event: CheckoutCompleted
    | CheckoutExpired
    | PaymentBounced
    | PaymentSucceeded
    | PaymentFailed
    | PaymentActionRequired
    | InvoiceSettled
    | SubscriptionUpdated
    | RenewalUpcoming,
) -> Pledge:
    pledge_id = event.pledge_id
    if pledge_id is None:
        subscription = None if isinstance(event, CHECKOUT_EVENTS) else event.subscription
        pledge_id = session.scalar(
            select(Pledge.id).where(Pledge.gateway == gateway, Pledge.subscription_reference == subscription)
        )
        if pledge_id is None:
            raise DependencyMissing(UNKNOWN_SUBSCRIPTION)
    pledge = get_pledge(session, pledge_id, for_update=True)
    if pledge.gateway != gateway:
        raise PledgeNotFound(f"The pledge was made with {pledge.gateway}.")
    return pledge


def _validate_one_time_payment(session: Session, pledge: Pledge, event: PaymentSucceeded) -> None:
    references = [payment.gateway_reference for payment in _successful_payments(session, pledge)]
    if event.reference in references:
        # Another event reports it again, or staff attached it.
        return
    if event.money.currency == pledge.currency and event.money.amount_minor < pledge.amount_minor:
        raise PaymentMismatch(PAID_LESS)
    if references:
        raise PaymentMismatch(PAID_ALREADY)


def _is_about_former_subscription(session: Session, pledge: Pledge, event: PaymentEvent) -> bool:
    """Whether another subscription has replaced the one that the event is about."""
    subscription = getattr(event, "subscription", None)
    if subscription in (None, pledge.subscription_reference):
        return False
    return session.get(FormerSubscription, (pledge.gateway, subscription)) is not None


def _successful_payments(session: Session, pledge: Pledge) -> list[Payment]:
    query = select(Payment).where(Payment.pledge_id == pledge.id, Payment.status != PaymentStatus.FAILED)
    return list(session.scalars(query.order_by(Payment.paid_at)))
