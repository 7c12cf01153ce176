"""What is ordered for a pledge that recurs: its end, and the page where its card is changed.

What is wanted is written down before the gateway is asked, and what came of it afterwards, so that a crash in
between leaves a wish that the same call, made again, fulfils. No transaction is open while the gateway is asked.
"""

import datetime
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from schemas.enums import PledgeStatus
from service.db.models.pledge import Pledge
from service.domain.errors import GatewayMismatch, PaymentRequestRejected, PaymentsUnavailable
from service.domain.pledges.making import get_pledge, transition_pledge
from service.domain.pledges.notes import enqueue_cancellation
from service.domain.pledges.status import TRANSITIONS, PledgeEvent, next_status
from service.domain.ports import Clock, GatewayRejected, GatewayUnavailable, PaymentGateway, TransactionFactory

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
    pledge.wanted_minor = None
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
