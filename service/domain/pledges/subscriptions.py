"""What is ordered for a pledge that recurs: its end, and the page where its card is changed.

What is wanted is written down before the gateway is asked, and what came of it afterwards, so that a crash in
between leaves a wish that the same call, made again, fulfils. No transaction is open while the gateway is asked.
"""

import datetime
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from schemas.enums import Frequency, PledgeStatus
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.campaigns.amounts import covered_fees, find_option, validate_amount
from service.domain.errors import GatewayMismatch, PaymentMismatch, PaymentRequestRejected, PaymentsUnavailable
from service.domain.money import Money
from service.domain.pledges.notifications import enqueue_cancellation
from service.domain.pledges.pledges import get_pledge, sync_pledge_status, total_charge, transition_pledge
from service.domain.pledges.status import TRANSITIONS, PledgeEvent, next_status
from service.domain.ports import Clock, GatewayRejected, GatewayUnavailable, PaymentGateway, TransactionFactory
from service.domain.ports.payment_events import SubscriptionUpdated

RETRY_AFTER_SECONDS = 30
# Its pledges know no subscription: nothing of theirs is kept anywhere but here.
SANDBOX_GATEWAY = "sandbox"


def is_recurring_active(pledge: Pledge) -> bool:
    """Whether money is still taken for this pledge from time to time, or tried to be."""
    return (pledge.status, PledgeEvent.CANCEL) in TRANSITIONS


def is_cancelling(pledge: Pledge) -> bool:
    """Whether its end was asked for and the gateway has yet to answer."""
    return is_recurring_active(pledge) and pledge.cancel_requested_at is not None


def cancel_pledge(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, clock: Clock
) -> Pledge:
    """End a pledge that recurs, for good and from now on; one that was cancelled before stays as it is.

    Raises:
        PledgeNotFound: there is none with this id.
        InvalidTransition: it takes no money again, so that there is nothing to end.
        GatewayMismatch: the gateway in use knows nothing of it.
        PaymentsUnavailable: the wish is written down, and this call or the reconciler will fulfil it.
        PaymentRequestRejected: the gateway says no, and somebody must look; nothing has changed.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        if pledge.status == PledgeStatus.CANCELLED:
            return pledge
        next_status(pledge.status, PledgeEvent.CANCEL)
        require_same_gateway(pledge, gateway)
        pledge.cancel_requested_at = pledge.cancel_requested_at or clock()
    try:
        with translate_gateway_errors():
            gateway.cancel_subscription(subscription_reference(pledge))
    except PaymentRequestRejected:
        # Money is still taken: the page must not say that the end is on its way, nor renewals go unannounced.
        with transaction() as session:
            get_pledge(session, pledge_id, for_update=True).cancel_requested_at = None
        raise
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        mark_cancelled(session, pledge, now=clock())
    return pledge


def mark_cancelled(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    """Record that a pledge which recurred takes no more money, and have its reader told; harmless if repeated.

    Raises:
        InvalidTransition: it cannot end from where it stands.
    """
    if pledge.status != PledgeStatus.CANCELLED:
        transition_pledge(session, pledge, PledgeEvent.CANCEL, now=now)
        pledge.ended_at = pledge.ended_at or now
        pledge.renews_at = None
    # What was still to be changed about it is of no use any more.
    pledge.pending_amount_minor = None
    enqueue_cancellation(session, pledge, now=now)


def payment_method_url(gateway: PaymentGateway, pledge: Pledge, *, back_url: str, lang: str) -> str:
    """Return the gateway's page where the reader changes how they pay; no transaction may be open.

    Raises:
        InvalidTransition: no more money is taken for this pledge.
        GatewayMismatch: the gateway in use knows nothing of it.
        PaymentsUnavailable: ask again in a while.
        PaymentRequestRejected: there is no such page; the message says why.
    """
    next_status(pledge.status, PledgeEvent.CANCEL)
    require_same_gateway(pledge, gateway)
    if pledge.customer_reference is None and pledge.gateway != SANDBOX_GATEWAY:
        raise _subscription_unknown()
    with translate_gateway_errors():
        customer, subscription = pledge.customer_reference or "", subscription_reference(pledge)
        return gateway.create_payment_method_session(customer, subscription, back_url=back_url, lang=lang)


def require_same_gateway(pledge: Pledge, gateway: PaymentGateway) -> None:
    """Refuse to order something of a gateway that does not know the pledge.

    Raises:
        GatewayMismatch: it was made with another.
    """
    if pledge.gateway != gateway.name:
        raise GatewayMismatch(f"This pledge was made with {pledge.gateway}, and {gateway.name} is in use now.")


def subscription_reference(pledge: Pledge) -> str:
    """Return the gateway's own name for what takes the money of this pledge.

    Raises:
        PaymentsUnavailable: the gateway has not told us yet.
    """
    if pledge.subscription_reference is not None:
        return pledge.subscription_reference
    if pledge.gateway == SANDBOX_GATEWAY:
        return f"{SANDBOX_GATEWAY}_{pledge.id}"
    raise _subscription_unknown()


def _subscription_unknown() -> PaymentsUnavailable:
    return PaymentsUnavailable(
        "The payment processor has not told us all of this pledge yet; please try again in a minute.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


@contextmanager
def translate_gateway_errors() -> Iterator[None]:
    """Say in the domain's words what a gateway answers that does not do what it is asked.

    Raises:
        PaymentsUnavailable, PaymentRequestRejected: instead of its own two.
    """
    try:
        yield
    except GatewayUnavailable as error:
        raise PaymentsUnavailable(
            "The payment processor does not answer right now; please try again soon.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        ) from error
    except GatewayRejected as error:
        raise PaymentRequestRejected(str(error)) from error


def amount_limits(
    campaign: Campaign, gateway: PaymentGateway, frequency: Frequency, currency: str
) -> tuple[int, int]:
    """Return the smallest and the largest amount in minor units that the campaign and the gateway both take.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the campaign offers nothing like it any more.
    """
    choice, limits = find_option(campaign, frequency, currency), gateway.charge_limits(currency)
    least = max(choice.minimum_minor, limits.smallest_minor)
    return -(-least // limits.step_minor) * limits.step_minor, choice.maximum_minor


def total_charge_for(pledge: Pledge, amount_minor: int, gateway: PaymentGateway) -> Money:
    """Return what would be charged each time for another amount; who covers the fees goes on covering them."""
    chosen = Money(amount_minor, pledge.currency)
    if not pledge.fees_minor:
        return chosen
    fees = covered_fees(pledge.campaign, chosen, limits=gateway.charge_limits(pledge.currency))
    return Money(amount_minor + fees, pledge.currency)


def change_amount(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, amount_minor: int, *, lang: str
) -> Pledge:
    """Take this amount, in minor units of the pledge's own currency, from the next payment on.

    Raises:
        PledgeNotFound: there is none with this id.
        InvalidTransition: it takes no money again.
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable:
        each says what would do.
        GatewayMismatch: the gateway in use knows nothing of it.
        PaymentsUnavailable: the wish is written down, and the reconciler will fulfil it.
        PaymentRequestRejected: the gateway says no; nothing has changed.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        next_status(pledge.status, PledgeEvent.CANCEL)
        require_same_gateway(pledge, gateway)
        limits = gateway.charge_limits(pledge.currency)
        wanted = Money(amount_minor, pledge.currency)
        validate_amount(pledge.campaign, pledge.frequency, wanted, limits=limits, lang=lang)
        subscription_reference(pledge)
        pledge.pending_amount_minor = amount_minor
    return complete_amount_change(transaction, gateway, pledge_id)


def complete_amount_change(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID
) -> Pledge:
    """Order the amount that is written down for a pledge; one for which none is stays as it is.

    Raises:
        PledgeNotFound, GatewayMismatch, PaymentsUnavailable, PaymentRequestRejected: as
        `update_subscription_amount`.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id)
        wanted = pledge.pending_amount_minor
        if wanted is None:
            return pledge
        require_same_gateway(pledge, gateway)
        charge = total_charge_for(pledge, wanted, gateway)
        subscription = subscription_reference(pledge)
    try:
        with translate_gateway_errors():
            gateway.update_subscription_amount(subscription, charge, pledge_id=pledge_id)
    except PaymentRequestRejected:
        with transaction() as session:
            pledge = get_pledge(session, pledge_id, for_update=True)
            if pledge.pending_amount_minor == wanted:
                pledge.pending_amount_minor = None
        raise
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        # Whoever wished for yet another amount meanwhile orders it themselves.
        if pledge.pending_amount_minor == wanted:
            pledge.amount_minor, pledge.fees_minor = wanted, charge.amount_minor - wanted
            pledge.pending_amount_minor = None
    return pledge


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
    before = pledge.subscription_status_at
    if before is not None and update.occurred_at < before:
        return None
    pledge.subscription_status_at = update.occurred_at
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
    if pledge.pending_amount_minor is not None or money.amount_minor == charged:
        return
    if certain or money.amount_minor > charged:
        fees = pledge.fees_minor if money.amount_minor > pledge.fees_minor else 0
        pledge.amount_minor, pledge.fees_minor = money.amount_minor - fees, fees
