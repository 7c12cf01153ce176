"""What the gateway reports of a recurring pledge's subscription: its id, status, amount, end and pause.

Reports may arrive in any order, and an older one changes nothing.
"""

import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from schemas.enums import Frequency, PledgeStatus
from service.db.models.payment import Payment
from service.db.models.pledge import FormerSubscription, Pledge
from service.domain.errors import InvalidTransition, PaymentMismatch
from service.domain.money import Money
from service.domain.pledges.pledges import sync_pledge_status, total_charge, transition_pledge
from service.domain.pledges.status import PledgeEvent
from service.domain.ports.payment_events import SubscriptionUpdated

# What a pledge holds about its subscription, and not about the next one.
FACTS_OF_A_SUBSCRIPTION = (
    "customer_reference",
    "renews_at",
    "anchored_at",
    "subscription_status_at",
    "ended_at",
    "cancel_requested_at",
    "pending_amount_minor",
    "pending_frequency",
    "pause_requested_at",
    "pending_resumes_at",
    "payment_bounced_at",
    "cancel_at",
    "resumes_at",
    "subscription_state",
    "previous_subscription_state",
    "open_invoice_reference",
    "open_invoice_url",
    "open_invoice_at",
    "action_required_at",
    "payment_method_changed_at",
    "invoice_retry_requested_at",
)
OTHER_SUBSCRIPTION = "The pledge belongs to another subscription."
# Stands for the states before one that was looked up: every change of its second is behind it.
LOOKED_UP = "looked up"


class SubscriptionOrderUnknown(Exception):
    """Two reports of one second contradict each other; the gateway must be asked for the current state."""

    def __init__(self, subscription: str) -> None:
        super().__init__("Which of two changes of one second is the later is not known yet.")
        self.subscription = subscription


def handle_subscription_updated(
    session: Session, pledge: Pledge, update: SubscriptionUpdated, *, now: datetime.datetime
) -> None:
    """Apply what the gateway reports of a subscription whose pledge is locked; an older report changes nothing.

    Raises:
        PaymentMismatch: the pledge has another subscription or another currency.
        SubscriptionOrderUnknown: the gateway must be asked which of two changes of one second is the later.
    """
    if update.money is not None and update.money.currency != pledge.currency:
        raise PaymentMismatch(f"The pledge is in {pledge.currency}, the subscription in {update.money.currency}.")
    if update.ended:
        pledge.ended_at = (
            update.occurred_at if pledge.ended_at is None else min(pledge.ended_at, update.occurred_at)
        )
    save_gateway_references(
        pledge, subscription=update.subscription, customer=update.customer, renews_at=update.renews_at
    )
    is_started = update.is_started or update.is_past_due
    past_due = _latest_past_due(session, pledge, update) if is_started else None
    sync_pledge_status(session, pledge, gateway_past_due=past_due, is_started=is_started, now=now)


def save_gateway_references(
    pledge: Pledge,
    *,
    subscription: str | None = None,
    customer: str | None = None,
    renews_at: datetime.datetime | None = None,
) -> None:
    """Store the customer of a pledge; of a recurring one also the subscription and the latest known renewal.

    Raises:
        PaymentMismatch: the pledge has another subscription.
    """
    if pledge.frequency == Frequency.ONCE:
        pledge.customer_reference = customer or pledge.customer_reference
        return
    if subscription is not None and pledge.subscription_reference not in (None, subscription):
        raise PaymentMismatch(OTHER_SUBSCRIPTION)
    pledge.subscription_reference = pledge.subscription_reference or subscription
    # A checkout may have created another customer than the one that we asked for.
    pledge.customer_reference = customer or pledge.customer_reference
    if pledge.ended_at is not None:
        pledge.renews_at = None
    elif renews_at is not None and (pledge.renews_at is None or renews_at > pledge.renews_at):
        pledge.renews_at = renews_at


def replace_subscription(session: Session, pledge: Pledge, subscription: str, *, now: datetime.datetime) -> None:
    """Give a locked pledge a subscription that staff made at the gateway; a cancelled pledge is active again.

    Raises:
        InvalidTransition: the pledge is for one payment, or its own subscription still runs.
        PaymentMismatch: the subscription belongs to another pledge.
    """
    if pledge.subscription_reference == subscription:
        return
    if pledge.frequency == Frequency.ONCE:
        raise InvalidTransition("A one-time pledge has no subscription.")
    other = select(Pledge.id).where(
        Pledge.gateway == pledge.gateway, Pledge.subscription_reference == subscription, Pledge.id != pledge.id
    )
    if session.scalar(other) is not None:
        raise PaymentMismatch("This subscription belongs to another pledge.")
    if pledge.subscription_reference is not None:
        if pledge.status != PledgeStatus.CANCELLED:
            raise InvalidTransition("The pledge's own subscription still runs; cancel the pledge first.")
        former = FormerSubscription(
            gateway=pledge.gateway,
            reference=pledge.subscription_reference,
            pledge_id=pledge.id,
            replaced_at=now,
        )
        session.add(former)
    if pledge.status == PledgeStatus.CANCELLED:
        transition_pledge(session, pledge, PledgeEvent.RESUME, now=now)
    for fact in FACTS_OF_A_SUBSCRIPTION:
        setattr(pledge, fact, None)
    pledge.is_paused = False
    pledge.subscription_reference = subscription


def _latest_past_due(session: Session, pledge: Pledge, update: SubscriptionUpdated) -> bool | None:
    """Return whether the latest known report says past due; None if a newer report than `update` is known.

    Of two reports of the same second, past due wins.

    Raises:
        SubscriptionOrderUnknown: the order of two reports of the same second is not known.
    """
    previous_at = pledge.subscription_status_at
    if previous_at is not None and update.occurred_at < previous_at:
        return None
    is_newer = previous_at is None or update.occurred_at > previous_at
    if is_newer or _follows(pledge, update):
        _sync_state(session, pledge, update, is_newer=is_newer)
    pledge.subscription_status_at = update.occurred_at
    if not is_newer:
        return update.is_past_due or pledge.status == PledgeStatus.PAST_DUE
    return update.is_past_due


def _follows(pledge: Pledge, update: SubscriptionUpdated) -> bool:
    """Whether this report is later than the known ones of the same second.

    The gateway's clock counts seconds. A change follows another if it starts with the state that the other left.

    Raises:
        SubscriptionOrderUnknown: it neither follows nor precedes them, or both.
    """
    first, last = pledge.previous_subscription_state, pledge.subscription_state
    if update.is_current:
        return True
    if update.state == last and (first == LOOKED_UP or update.previous_state in (first, last)):
        return False
    follows = first != LOOKED_UP and update.previous_state == last
    precedes = first != LOOKED_UP and update.state == first
    if follows == precedes or update.previous_state is None:
        raise SubscriptionOrderUnknown(update.subscription)
    if precedes:
        pledge.previous_subscription_state = update.previous_state
    return follows


def _sync_state(session: Session, pledge: Pledge, update: SubscriptionUpdated, *, is_newer: bool) -> None:
    """Follow the amount, the frequency, the end and the pause that the gateway reports."""
    if update.is_current:
        pledge.previous_subscription_state = LOOKED_UP
    elif is_newer:
        pledge.previous_subscription_state = update.previous_state
    pledge.subscription_state = update.state
    pledge.cancel_at, pledge.is_paused = update.cancel_at, update.is_paused
    pledge.resumes_at = update.resumes_at if update.is_paused else None
    # While a change of our own is pending, its outcome decides.
    is_ours = pledge.frequency == Frequency.ONCE or pledge.pending_frequency is not None
    if update.frequency not in (None, pledge.frequency) and not is_ours:
        set_frequency(session, pledge, update.frequency)
        # Support that is paid every month is due sooner than was known of a year.
        pledge.renews_at = pledge.anchored_at = update.renews_at or pledge.renews_at
    if update.money is not None:
        sync_amount(pledge, update.money)


def sync_amount(pledge: Pledge, money: Money) -> None:
    """Follow an amount that was changed at the gateway; the covered fees stay as they are.

    While a change of our own is pending, its outcome decides.
    """
    if pledge.pending_amount_minor is not None or money.amount_minor == total_charge(pledge).amount_minor:
        return
    fees = pledge.fees_minor if money.amount_minor > pledge.fees_minor else 0
    pledge.amount_minor, pledge.fees_minor = money.amount_minor - fees, fees


def set_frequency(session: Session, pledge: Pledge, frequency: Frequency) -> None:
    """Change how often a locked pledge is paid; the receipts of its payments so far keep the former frequency."""
    if pledge.frequency == frequency:
        return
    session.execute(
        update(Payment)
        .where(Payment.pledge_id == pledge.id, Payment.frequency.is_(None))
        .values(frequency=pledge.frequency)
    )
    pledge.frequency = frequency
