"""Recurring pledges: cancelling one, and changing its amount, frequency or payment method.

A change is recorded as requested before the gateway is called, and its outcome afterwards. After a crash in
between, the same call, or the reconciler, completes it. No transaction is open during a call to the gateway.
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
from service.domain.errors import (
    ChangeNotPossible,
    CurrencyNotAccepted,
    FrequencyNotOffered,
    GatewayMismatch,
    InvalidTransition,
    PaymentRequestRejected,
    PaymentsRescheduled,
    PaymentsUnavailable,
)
from service.domain.money import Money
from service.domain.pledges.customers import has_same_customer, pledges_with_same_supporter
from service.domain.pledges.notifications import enqueue_cancellation, enqueue_change
from service.domain.pledges.pledges import get_pledge, total_charge, transition_pledge
from service.domain.pledges.renewals import (
    MAX_PUT_OFF,
    OBSTACLES,
    SANDBOX_GATEWAY,
    Obstacle,
    is_paused_at,
    schedule_obstacle,
    scheduled_payment_at,
)
from service.domain.pledges.status import RUNNING_STATUSES, PledgeEvent, next_status
from service.domain.pledges.subscription_reports import set_frequency, sync_amount
from service.domain.ports import (
    Clock,
    GatewayAmountChanged,
    GatewayRejected,
    GatewayUnavailable,
    PaymentGateway,
    TransactionFactory,
)

RETRY_AFTER_SECONDS = 30
OTHER_FREQUENCY = {Frequency.MONTHLY: Frequency.ANNUAL, Frequency.ANNUAL: Frequency.MONTHLY}
UNAVAILABLE = "The payment provider isn't responding right now; please try again soon."
CANCELLATION_RECORDED = "Stripe does not answer right now. The pledge will be cancelled when Stripe answers."


def is_recurring_active(pledge: Pledge) -> bool:
    """Whether the gateway still charges this pledge regularly, or tries to."""
    return pledge.frequency != Frequency.ONCE and pledge.status in RUNNING_STATUSES


def require_recurring_active(pledge: Pledge) -> None:
    """Check that the pledge can be cancelled and changed.

    Raises:
        InvalidTransition: the gateway does not charge it again, or is making its only payment.
    """
    if pledge.frequency == Frequency.ONCE and pledge.status == PledgeStatus.PROCESSING:
        raise InvalidTransition("This payment is on its way and cannot be stopped; once it arrives, refund it.")
    next_status(pledge.status, PledgeEvent.CANCEL)


def lock_recurring_pledge(session: Session, gateway: PaymentGateway, pledge_id: uuid.UUID) -> Pledge:
    """Return a pledge that this gateway charges regularly, with its row locked.

    Raises:
        PledgeNotFound: no pledge has this id.
        InvalidTransition: the gateway does not charge it again.
        GatewayMismatch: it was made with another gateway.
    """
    pledge = get_pledge(session, pledge_id, for_update=True)
    require_recurring_active(pledge)
    require_same_gateway(pledge, gateway)
    return pledge


def is_cancelling(pledge: Pledge) -> bool:
    """Whether a cancellation was requested that the gateway has not confirmed yet."""
    return is_recurring_active(pledge) and pledge.cancel_requested_at is not None


def cancel_pledge(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, clock: Clock
) -> Pledge:
    """Cancel a recurring pledge at once and for good; one that is cancelled already stays as it is.

    Raises:
        PledgeNotFound: no pledge has this id.
        InvalidTransition: the pledge is not charged again, so there is nothing to cancel.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the request is recorded; this call, or the reconciler, completes it later.
        PaymentRequestRejected: the gateway refuses, and an operator must look; nothing has changed.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        if pledge.status == PledgeStatus.CANCELLED:
            return pledge
        require_recurring_active(pledge)
        require_same_gateway(pledge, gateway)
        pledge.cancel_requested_at = pledge.cancel_requested_at or clock()
    try:
        with translate_gateway_errors(CANCELLATION_RECORDED):
            gateway.cancel_subscription(subscription_reference(pledge))
    except PaymentRequestRejected:
        # The reader is still charged: the page must not promise a cancellation, and renewals are announced again.
        with transaction() as session:
            get_pledge(session, pledge_id, for_update=True).cancel_requested_at = None
        raise
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        mark_cancelled(session, pledge, now=clock())
    return pledge


def mark_cancelled(session: Session, pledge: Pledge, *, now: datetime.datetime) -> None:
    """Record that a recurring pledge is cancelled and enqueue the email about it. Idempotent.

    Raises:
        InvalidTransition: the pledge cannot be cancelled in its status.
    """
    if pledge.status != PledgeStatus.CANCELLED:
        transition_pledge(session, pledge, PledgeEvent.CANCEL, now=now)
        pledge.ended_at = pledge.ended_at or now
        pledge.renews_at = None
    # A requested change has no effect any more.
    pledge.pending_amount_minor = pledge.pending_frequency = None
    pledge.pause_requested_at = pledge.pending_resumes_at = None
    enqueue_cancellation(session, pledge, now=now)


def change_amount(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    pledge_id: uuid.UUID,
    amount_minor: int,
    *,
    frequency: Frequency | None = None,
    clock: Clock,
    lang: str,
) -> Pledge:
    """Charge this amount, in minor units of the pledge's own currency, from the next payment on.

    A reader means it in the `frequency` that they were shown.

    Raises:
        PledgeNotFound: no pledge has this id.
        InvalidTransition: the pledge is not charged again.
        PaymentsRescheduled: the pledge is paid in another frequency, or is about to be.
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable:
        each names what would be accepted.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the request is recorded, and the reconciler completes it.
        PaymentRequestRejected: the gateway refuses; nothing has changed.
    """
    with transaction() as session:
        pledge = lock_recurring_pledge(session, gateway, pledge_id)
        limits = gateway.charge_limits(pledge.currency)
        money = Money(amount_minor, pledge.currency)
        require_frequency(pledge, frequency)
        next_frequency = pledge.pending_frequency or pledge.frequency
        validate_amount(pledge.campaign, next_frequency, money, limits=limits, lang=lang)
        subscription_reference(pledge)
        pledge.pending_amount_minor = amount_minor
    return complete_amount_change(transaction, gateway, pledge_id, clock=clock)


def switch_frequency(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    pledge_id: uuid.UUID,
    frequency: Frequency,
    amount_minor: int,
    *,
    next_payment_at: datetime.datetime,
    clock: Clock,
    lang: str,
) -> Pledge:
    """Charge this amount in another frequency, first on the day of the next payment, which the reader was told.

    Raises:
        PledgeNotFound: no pledge has this id.
        InvalidTransition: the pledge is not charged again.
        ChangeNotPossible: not now, or it is a one-time pledge.
        PaymentsRescheduled: the next payment is on another day than the reader was told.
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable:
        each names what would be accepted.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the request is recorded, and the reconciler completes it.
        PaymentRequestRejected: the gateway refuses; nothing has changed.
    """
    with transaction() as session:
        now = clock()
        pledge = lock_recurring_pledge(session, gateway, pledge_id)
        if (pledge.frequency, pledge.amount_minor) == (frequency, amount_minor):
            return pledge
        obstacle = switch_obstacle(pledge, now=now)
        if obstacle is not None:
            raise ChangeNotPossible(OBSTACLES[obstacle])
        if Frequency.ONCE in (frequency, pledge.frequency):
            raise ChangeNotPossible("Only monthly and annual support can be switched.")
        if scheduled_payment_at(pledge, now=now) != next_payment_at:
            raise PaymentsRescheduled("The day of the next payment has changed.")
        limits = gateway.charge_limits(pledge.currency)
        validate_amount(pledge.campaign, frequency, Money(amount_minor, pledge.currency), limits=limits, lang=lang)
        subscription_reference(pledge)
        pledge.pending_amount_minor, pledge.pending_frequency = amount_minor, frequency
        if pledge.gateway == SANDBOX_GATEWAY:
            pledge.renews_at = next_payment_at
    return complete_amount_change(transaction, gateway, pledge_id, clock=clock)


def may_change_amount(pledge: Pledge) -> bool:
    """Whether a reader may change the amount now: it is that of the present frequency, and goes on."""
    return not is_cancelling(pledge) and pledge.pending_frequency is None


def require_frequency(pledge: Pledge, shown: Frequency | None) -> None:
    """Check that a pledge is paid, and will be, as often as its reader was shown; None if they were not.

    Raises:
        PaymentsRescheduled: it is not.
    """
    if shown is not None and shown != (pledge.pending_frequency or pledge.frequency):
        raise PaymentsRescheduled("The frequency of the payments has changed.")


def switch_obstacle(pledge: Pledge, *, now: datetime.datetime) -> Obstacle | None:
    """Return why the frequency of an active recurring pledge cannot be changed now, or None if it can."""
    if pledge.pause_requested_at is not None or pledge.pending_amount_minor is not None:
        return Obstacle.PENDING
    if is_paused_at(pledge, now):
        return Obstacle.PAUSED
    scheduled = scheduled_payment_at(pledge, now=now)
    # Only staff can set so late a payment, in Stripe's dashboard.
    is_too_far = scheduled is not None and scheduled > now + MAX_PUT_OFF
    return schedule_obstacle(pledge, now=now) or (Obstacle.TOO_FAR if is_too_far else None)


def may_switch(pledge: Pledge, *, now: datetime.datetime) -> bool:
    """Whether a reader is offered the other frequency: the campaign takes it, and nothing stands against it."""
    other = OTHER_FREQUENCY.get(pledge.frequency)
    if other is None or switch_obstacle(pledge, now=now) is not None:
        return False
    try:
        find_option(pledge.campaign, other, pledge.currency)
    except (CurrencyNotAccepted, FrequencyNotOffered):
        return False
    return True


def complete_amount_change(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    pledge_id: uuid.UUID,
    *,
    is_late: bool = False,
    clock: Clock,
) -> Pledge:
    """Send the requested amount and frequency of a pledge to the gateway; a pledge without stays as it is.

    An amount that was set at the gateway in the meantime outweighs a request that `is_late`.

    Raises:
        PledgeNotFound: no pledge has this id.
        GatewayMismatch, PaymentsUnavailable, PaymentRequestRejected: as `change_amount`.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id)
        requested, frequency = pledge.pending_amount_minor, pledge.pending_frequency
        if requested is None:
            return pledge
        require_same_gateway(pledge, gateway)
        charge = total_charge_for(pledge, requested, gateway)
        subscription = subscription_reference(pledge)
        expected = total_charge(pledge) if is_late else None
    try:
        with translate_gateway_errors():
            gateway.update_subscription_amount(
                subscription, charge, pledge_id=pledge_id, expected=expected, frequency=frequency
            )
    except PaymentRequestRejected as error:
        with transaction() as session:
            pledge = get_pledge(session, pledge_id, for_update=True)
            if (pledge.pending_amount_minor, pledge.pending_frequency) == (requested, frequency):
                pledge.pending_amount_minor = pledge.pending_frequency = None
                if isinstance(error.__cause__, GatewayAmountChanged):
                    sync_amount(pledge, error.__cause__.money)
        raise
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        # A concurrent request for another amount sends that amount itself.
        if (pledge.pending_amount_minor, pledge.pending_frequency) == (requested, frequency):
            before = total_charge(pledge), pledge.frequency
            pledge.amount_minor, pledge.fees_minor = requested, charge.amount_minor - requested
            if frequency is not None:
                set_frequency(session, pledge, frequency)
                # At the gateway, the end of a trial is the day of payment from then on.
                pledge.anchored_at = pledge.renews_at
            pledge.pending_amount_minor = pledge.pending_frequency = None
            if before != (charge, pledge.frequency):
                enqueue_change(session, pledge, now=clock())
    return pledge


def amount_limits(
    campaign: Campaign, gateway: PaymentGateway, frequency: Frequency, currency: str
) -> tuple[int, int]:
    """Return the smallest and the largest amount in minor units that the campaign and the gateway both accept.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the campaign no longer offers this combination.
    """
    option, limits = find_option(campaign, frequency, currency), gateway.charge_limits(currency)
    smallest = max(option.minimum_minor, limits.smallest_minor)
    return -(-smallest // limits.step_minor) * limits.step_minor, option.maximum_minor


def smaller_amount(pledge: Pledge, gateway: PaymentGateway) -> int | None:
    """Return the amount in minor units to offer instead of a cancellation: a smaller preset, else the smallest.

    It is None if the pledge is the smallest already.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the campaign no longer offers this combination.
    """
    least, _ = amount_limits(pledge.campaign, gateway, pledge.frequency, pledge.currency)
    presets = find_option(pledge.campaign, pledge.frequency, pledge.currency).presets_minor
    return max((amount for amount in (least, *presets) if least <= amount < pledge.amount_minor), default=None)


def total_charge_for(pledge: Pledge, amount_minor: int, gateway: PaymentGateway) -> Money:
    """Return the total charge for another amount; a reader who covers the fees continues to."""
    amount = Money(amount_minor, pledge.currency)
    if not pledge.fees_minor:
        return amount
    fees = covered_fees(pledge.campaign, amount, limits=gateway.charge_limits(pledge.currency))
    return Money(amount_minor + fees, pledge.currency)


def payment_method_url(
    read_only: TransactionFactory, gateway: PaymentGateway, pledge: Pledge, *, return_url: str, lang: str
) -> str:
    """Return the gateway's page for changing the payment method of all pledges with this pledge's customer.

    Call it without an open transaction.

    Raises:
        InvalidTransition: the pledge is not charged again.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the same call may succeed later.
        PaymentRequestRejected: there is no such page; the message gives the reason.
    """
    require_recurring_active(pledge)
    require_same_gateway(pledge, gateway)
    if pledge.customer_reference is None and pledge.gateway != SANDBOX_GATEWAY:
        raise _subscription_unknown()
    subscriptions = {subscription_reference(pledge)}
    with read_only() as session:
        for other in pledges_with_same_supporter(session, pledge):
            if has_same_customer(pledge, other) and other.subscription_reference is not None:
                subscriptions.add(other.subscription_reference)
    with translate_gateway_errors():
        return gateway.create_payment_method_session(
            pledge.customer_reference or "", sorted(subscriptions), return_url=return_url, lang=lang
        )


def subscription_reference(pledge: Pledge) -> str:
    """Return the gateway's reference of the pledge's subscription.

    Raises:
        PaymentsUnavailable: the gateway has not reported it yet.
    """
    if pledge.subscription_reference is not None:
        return pledge.subscription_reference
    if pledge.gateway == SANDBOX_GATEWAY:
        return f"{SANDBOX_GATEWAY}_{pledge.id}"
    raise _subscription_unknown()


def require_same_gateway(pledge: Pledge, gateway: PaymentGateway) -> None:
    """Check that the gateway in use is the one that the pledge was made with.

    Raises:
        GatewayMismatch: it is another.
    """
    if pledge.gateway != gateway.name:
        raise GatewayMismatch(f"This pledge was made with {pledge.gateway}, and {gateway.name} is in use now.")


@contextmanager
def translate_gateway_errors(unavailable: str = UNAVAILABLE) -> Iterator[None]:
    """Turn the gateway port's errors into domain errors; `unavailable` is the detail if it does not answer.

    Raises:
        PaymentsUnavailable: for `GatewayUnavailable`.
        PaymentRequestRejected: for `GatewayRejected`.
    """
    try:
        yield
    except GatewayUnavailable as error:
        raise PaymentsUnavailable(unavailable, retry_after_seconds=RETRY_AFTER_SECONDS) from error
    except GatewayRejected as error:
        raise PaymentRequestRejected(str(error)) from error


def _subscription_unknown() -> PaymentsUnavailable:
    return PaymentsUnavailable(
        "The payment provider has not reported everything about this pledge yet; please try again in a minute.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
