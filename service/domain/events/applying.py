"""From news to the pledge that it is about, which is held first: all news of one pledge stand in line."""

import datetime
import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.errors import PledgeNotFound
from service.domain.ledger.recording import find_payment
from service.domain.pledges.making import get_pledge
from service.domain.pledges.notes import enqueue_renewal
from service.domain.pledges.payments import (
    handle_dispute,
    handle_payment_failed,
    handle_payment_succeeded,
    handle_refund,
    link_supporter,
)
from service.domain.pledges.standing import sync_pledge_status
from service.domain.pledges.subscription import handle_subscription_updated, save_gateway_references
from service.domain.ports.news import (
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
        sync_pledge_status(session, pledge, is_closed=True, now=now)
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
