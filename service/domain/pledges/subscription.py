"""What a recurring pledge is called at its gateway, and what the gateway says of it as a whole."""

import datetime

from sqlalchemy.orm import Session

from schemas.enums import Frequency, PledgeStatus
from service.db.models.pledge import Pledge
from service.domain.errors import PaymentMismatch
from service.domain.money.amounts import Money
from service.domain.pledges.making import total_charge
from service.domain.pledges.standing import sync_pledge_status
from service.domain.ports.news import SubscriptionUpdated


def save_gateway_references(
    pledge: Pledge,
    *,
    subscription: str | None = None,
    customer: str | None = None,
    renews_at: datetime.datetime | None = None,
) -> None:
    """Write down the gateway's own names for a recurring pledge, and when it takes money next: the latest known.

    Raises:
        PaymentMismatch: the pledge goes by another name there.
    """
    if pledge.frequency == Frequency.ONCE:
        return
    if subscription is not None and pledge.subscription_reference not in (None, subscription):
        raise PaymentMismatch("The pledge belongs to another subscription.")
    pledge.subscription_reference = pledge.subscription_reference or subscription
    pledge.customer_reference = pledge.customer_reference or customer
    if pledge.ended_at is not None:
        pledge.renews_at = None
    elif renews_at is not None and (pledge.renews_at is None or renews_at > pledge.renews_at):
        pledge.renews_at = renews_at


def handle_subscription_updated(
    session: Session, pledge: Pledge, update: SubscriptionUpdated, *, now: datetime.datetime
) -> None:
    """Write down what the gateway says of a subscription whose pledge is held; an older word changes nothing.

    Raises:
        PaymentMismatch: the pledge goes by another name there, or is in another currency.
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
    past_due = None
    if update.is_started or update.is_past_due:
        past_due = _latest_past_due(pledge, update)
    sync_pledge_status(
        session, pledge, said_past_due=past_due, is_started=update.is_started or update.is_past_due, now=now
    )


def _latest_past_due(pledge: Pledge, update: SubscriptionUpdated) -> bool | None:
    """Return whether it is past due, by this word or one of the same second; None if a younger one is known."""
    before = pledge.stood_at
    if before is not None and update.occurred_at < before:
        return None
    pledge.stood_at = update.occurred_at
    if update.money is not None:
        _sync_amount(pledge, update.money, certain=before is None or update.occurred_at > before)
    if update.occurred_at == before:
        return update.is_past_due or pledge.status == PledgeStatus.PAST_DUE
    return update.is_past_due


def _sync_amount(pledge: Pledge, money: Money, *, certain: bool) -> None:
    """Follow an amount that was changed at the gateway; what is added to cover its share stays as it is.

    While we want another amount ourselves, that order's own outcome counts. Of two words of the same second
    (not `certain`), the larger amount is taken, whichever came first.
    """
    charged = total_charge(pledge).amount_minor
    if pledge.wanted_minor is not None or money.amount_minor == charged:
        return
    if certain or money.amount_minor > charged:
        fees = pledge.fees_minor if money.amount_minor > pledge.fees_minor else 0
        pledge.amount_minor, pledge.fees_minor = money.amount_minor - fees, fees
