"""Finishing what was ordered of the gateway and never written down as done, as after a crash in between.

What is wanted stands in the books before the gateway is asked, and every order carries its own key: asking again
yields what the first time did.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import ColumnElement, Select, select

from schemas.enums import PledgeStatus, RefundStatus
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.errors import DomainError, PaymentsUnavailable
from service.domain.payments.refunds import complete_refund
from service.domain.pledges.checkout import checkout_params
from service.domain.pledges.pledges import CHECKOUT_TTL, get_pledge
from service.domain.pledges.subscriptions import cancel_pledge, complete_amount_change
from service.domain.ports import Clock, GatewayRejected, GatewayUnavailable, PaymentGateway, TransactionFactory
from service.domain.urls import UrlBuilder

# A request that still runs has longer than any call to the gateway may take.
MIN_AGE = datetime.timedelta(minutes=1)
BATCH_SIZE = 200

log = structlog.get_logger()


@dataclass(frozen=True)
class PendingOperation:
    """One order: what kind it is, whose row it stands in, and how it is finished."""

    kind: str
    row_id: uuid.UUID
    finish: Callable[[uuid.UUID], object]


def complete_pending_operations(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    *,
    links: UrlBuilder,
    clock: Clock,
    should_continue: Callable[[], bool] = lambda: True,
) -> Counter[str]:
    """Finish what is left of each kind of order; return how much of which.

    What the gateway refuses is `refused` and left for somebody to look at. While it does not answer, all of it is
    `put_off`.
    """
    counts: Counter[str] = Counter()
    for order in _pending_operations(transaction, gateway, links, clock):
        if not should_continue():
            break
        try:
            order.finish(order.row_id)
        except (GatewayUnavailable, PaymentsUnavailable):
            counts["put_off"] += 1
        except (GatewayRejected, DomainError) as error:
            log.warning("order_refused", order=order.kind, row=str(order.row_id), reason=str(error))
            counts["refused"] += 1
        else:
            log.info("order_finished", order=order.kind, row=str(order.row_id))
            counts[order.kind] += 1
    return counts


def _pending_operations(
    transaction: TransactionFactory, gateway: PaymentGateway, links: UrlBuilder, clock: Clock
) -> list[PendingOperation]:
    def open_checkout(pledge_id: uuid.UUID) -> None:
        _finish_checkout(transaction, gateway, pledge_id, links=links)

    def end(pledge_id: uuid.UUID) -> None:
        cancel_pledge(transaction, gateway, pledge_id, clock=clock)

    def change(pledge_id: uuid.UUID) -> None:
        complete_amount_change(transaction, gateway, pledge_id)

    def send_back(refund_id: uuid.UUID) -> None:
        complete_refund(transaction, gateway, refund_id, clock=clock)

    with transaction() as session:
        found = (
            ("checkouts", open_checkout, _checkouts(gateway.name, now=clock())),
            ("refunds", send_back, _refunds(gateway.name)),
            ("cancellations", end, _recurring(gateway.name, Pledge.cancel_requested_at.is_not(None))),
            ("amounts", change, _recurring(gateway.name, Pledge.pending_amount_minor.is_not(None))),
        )
        return [
            PendingOperation(kind, row_id, finish)
            for kind, finish, query in found
            for row_id in session.scalars(query.limit(BATCH_SIZE))
        ]


def _checkouts(gateway: str, *, now: datetime.datetime) -> Select[uuid.UUID]:
    """Return the query of checkouts that were begun and that the gateway may still know under the same key."""
    return (
        select(Pledge.id)
        .where(
            Pledge.status == PledgeStatus.PENDING,
            Pledge.gateway == gateway,
            Pledge.gateway_reference.is_(None),
            Pledge.created_at > now - CHECKOUT_TTL,
            Pledge.created_at <= now - MIN_AGE,
        )
        .order_by(Pledge.created_at)
    )


def _refunds(gateway: str) -> Select[uuid.UUID]:
    return (
        select(Refund.id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(Refund.status == RefundStatus.REQUESTED, Payment.gateway == gateway)
        .order_by(Refund.id)
    )


def _recurring(gateway: str, wanted: ColumnElement[bool]) -> Select[uuid.UUID]:
    """Return the query of pledges that take money still and of which something else is wanted."""
    return (
        select(Pledge.id)
        .where(Pledge.status.in_((PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE)), Pledge.gateway == gateway, wanted)
        .order_by(Pledge.id)
    )


def _finish_checkout(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, links: UrlBuilder
) -> None:
    with transaction() as session:
        pledge = get_pledge(session, pledge_id)
        order = checkout_params(pledge, pledge.campaign, links)
    checkout = gateway.create_checkout(order)
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        pledge.gateway_reference = pledge.gateway_reference or checkout.reference
        pledge.checkout_url = pledge.checkout_url or checkout.url
