"""From news to the pledge that it is about, which is held first: all news of one pledge stand in line."""

import datetime
import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.payment import Payment
from service.db.pledge import Pledge
from service.domain.errors import PledgeNotFound
from service.domain.ledger.recording import find_payment
from service.domain.pledges.making import find_pledge
from service.domain.pledges.notes import tell_of_renewal
from service.domain.pledges.payments import (
    link_reader,
    take_dispute,
    take_failed_try,
    take_payment,
    take_refund,
)
from service.domain.pledges.standing import stand_by_facts
from service.domain.pledges.subscription import name_at_gateway, take_standing
from service.domain.ports.news import (
    CheckoutClosed,
    CheckoutDone,
    Disputed,
    News,
    NotPaid,
    Paid,
    Refunded,
    RenewalAhead,
    Standing,
)


class NotYet(Exception):
    """The news came before what it stands on; the message says what that is."""


def apply_news(session: Session, gateway: str, news: News, *, now: datetime.datetime) -> uuid.UUID:
    """Write down what one piece of news says; return the id of its pledge. Repeated, it changes nothing.

    Raises:
        NotYet: what it is about is not known; it may be told of later.
        PledgeNotFound, PaymentMismatch, IllegalMove: it contradicts what is known; somebody must look.
    """
    if isinstance(news, (Refunded, Disputed)):
        return _money_that_went_back(session, gateway, news, now=now)
    pledge = _held_pledge(session, gateway, news)
    if isinstance(news, Paid):
        take_payment(session, pledge, news, now=now)
    elif isinstance(news, NotPaid):
        take_failed_try(session, pledge, news, now=now)
    elif isinstance(news, Standing):
        take_standing(session, pledge, news, now=now)
    elif isinstance(news, RenewalAhead):
        tell_of_renewal(session, pledge, news, now=now)
    elif isinstance(news, CheckoutClosed):
        stand_by_facts(session, pledge, is_closed=True, now=now)
    else:
        _reader_came_through(session, pledge, news, now=now)
    return pledge.id


def _reader_came_through(session: Session, pledge: Pledge, news: CheckoutDone, *, now: datetime.datetime) -> None:
    name_at_gateway(pledge, subscription=news.subscription, customer=news.customer)
    if news.email is not None:
        link_reader(session, pledge, news.email, now=now)


def _money_that_went_back(
    session: Session, gateway: str, news: Refunded | Disputed, *, now: datetime.datetime
) -> uuid.UUID:
    payment = _payment(session, gateway, news)
    pledge = find_pledge(session, payment.pledge_id, to_change=True)
    # Somebody may have changed it until its pledge was held.
    session.refresh(payment)
    if isinstance(news, Refunded):
        take_refund(session, pledge, payment, news, now=now)
    else:
        take_dispute(session, payment, news)
    return pledge.id


def _payment(session: Session, gateway: str, news: Refunded | Disputed) -> Payment:
    payment = find_payment(session, gateway, news.references)
    if payment is None:
        raise NotYet("Its payment is not in the books.")
    return payment


def _held_pledge(
    session: Session,
    gateway: str,
    news: CheckoutDone | CheckoutClosed | Paid | NotPaid | Standing | RenewalAhead,
) -> Pledge:
    pledge_id = news.pledge_id
    if pledge_id is None:
        subscription = None if isinstance(news, (CheckoutDone, CheckoutClosed)) else news.subscription
        pledge_id = session.scalar(
            select(Pledge.id).where(Pledge.gateway == gateway, Pledge.subscription_reference == subscription)
        )
        if pledge_id is None:
            raise NotYet("Its subscription is not that of any pledge.")
    pledge = find_pledge(session, pledge_id, to_change=True)
    if pledge.gateway != gateway:
        raise PledgeNotFound(f"The pledge was made with {pledge.gateway}.")
    return pledge
