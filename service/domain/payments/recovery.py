"""Completing operations at the gateway whose outcome was never recorded, as after a crash.

Every operation is recorded before the gateway is called, and its idempotency key depends on nothing but the row:
calling again returns the result of the first call.
"""

import datetime
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, PledgeStatus, RefundStatus
from service.db.models.customer import CustomerUpdate
from service.db.models.payment import Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.errors import DomainError, PaymentsUnavailable
from service.domain.payments.customer_addresses import complete_customer_update
from service.domain.payments.refunds import complete_refund
from service.domain.pledges.checkout import start_checkout
from service.domain.pledges.open_invoices import retry_open_invoice
from service.domain.pledges.pauses import complete_pause
from service.domain.pledges.pledges import CHECKOUT_TTL, get_pledge
from service.domain.pledges.status import RUNNING_STATUSES
from service.domain.pledges.subscriptions import cancel_pledge, complete_amount_change, is_recurring_active
from service.domain.ports import Clock, GatewayRejected, GatewayUnavailable, PaymentGateway, TransactionFactory
from service.domain.urls import UrlBuilder

# Longer than any call to the gateway may take, so that a request which still runs is left alone.
MIN_AGE = datetime.timedelta(minutes=1)
BATCH_SIZE = 200
# The gateway's word for a payment that the cardholder says they did not make.
FRAUDULENT = "fraudulent"

log = structlog.get_logger()


@dataclass(frozen=True)
class PendingOperation:
    """One operation: its kind, the id of its row, and the function that completes it."""

    kind: str
    row_id: uuid.UUID
    complete: Callable[[uuid.UUID], object]


def complete_pending_operations(
    transaction: TransactionFactory,
    gateway: PaymentGateway,
    *,
    urls: UrlBuilder,
    clock: Clock,
    should_continue: Callable[[], bool] = lambda: True,
) -> Counter[str]:
    """Complete every pending operation; return the number by kind.

    An operation that the gateway rejects is counted as `refused` and left for an operator. Those that find the
    gateway unavailable are counted as `put_off`.
    """
    counts: Counter[str] = Counter()
    for operation in _pending_operations(transaction, gateway, urls, clock):
        if not should_continue():
            break
        try:
            operation.complete(operation.row_id)
        except (GatewayUnavailable, PaymentsUnavailable):
            counts["put_off"] += 1
        except (GatewayRejected, DomainError) as error:
            log.warning(
                "operation_refused", operation=operation.kind, row=str(operation.row_id), reason=str(error)
            )
            counts["refused"] += 1
        else:
            log.info("operation_completed", operation=operation.kind, row=str(operation.row_id))
            counts[operation.kind] += 1
    return counts


def request_cancellations_for_fraud(session: Session, gateway: str, *, now: datetime.datetime) -> int:
    """Request the cancellation of active recurring pledges with a fraudulent dispute; return how many.

    A dispute counts while it is open, and when it is lost. The pending operations are completed afterwards.
    """
    disputed = (
        select(Payment.pledge_id)
        .join(Dispute, Dispute.payment_id == Payment.id)
        .where(Dispute.reason == FRAUDULENT, Dispute.status.in_((DisputeStatus.OPEN, DisputeStatus.LOST)))
    )
    is_wanted = and_(Pledge.cancel_requested_at.is_(None), Pledge.id.in_(disputed))
    pledge_ids = session.scalars(_recurring(gateway, is_wanted).limit(BATCH_SIZE)).all()
    for pledge_id in pledge_ids:
        pledge = get_pledge(session, pledge_id, for_update=True)
        if is_recurring_active(pledge) and pledge.cancel_requested_at is None:
            pledge.cancel_requested_at = now
            log.warning("support_ends_for_fraud", pledge=str(pledge.id))
    return len(pledge_ids)


def _pending_operations(
    transaction: TransactionFactory, gateway: PaymentGateway, urls: UrlBuilder, clock: Clock
) -> list[PendingOperation]:
    def complete_checkout(pledge_id: uuid.UUID) -> None:
        _complete_checkout(transaction, gateway, pledge_id, urls=urls)

    def cancel(pledge_id: uuid.UUID) -> None:
        cancel_pledge(transaction, gateway, pledge_id, clock=clock)

    def retry_invoice(pledge_id: uuid.UUID) -> None:
        retry_open_invoice(transaction, gateway, pledge_id)

    def change_amount(pledge_id: uuid.UUID) -> None:
        complete_amount_change(transaction, gateway, pledge_id, is_late=True, clock=clock)

    def pause(pledge_id: uuid.UUID) -> None:
        complete_pause(transaction, gateway, pledge_id, clock=clock)

    def refund(refund_id: uuid.UUID) -> None:
        complete_refund(transaction, gateway, refund_id, clock=clock)

    def update_customer(update_id: uuid.UUID) -> None:
        complete_customer_update(transaction, gateway, update_id, clock=clock)

    with transaction() as session:
        operations = (
            ("checkouts", complete_checkout, _checkouts(gateway.name, now=clock())),
            ("refunds", refund, _refunds(gateway.name, now=clock())),
            ("cancellations", cancel, _recurring(gateway.name, Pledge.cancel_requested_at.is_not(None))),
            (
                "invoice_retries",
                retry_invoice,
                _recurring(gateway.name, Pledge.invoice_retry_requested_at.is_not(None)),
            ),
            ("amounts", change_amount, _recurring(gateway.name, Pledge.pending_amount_minor.is_not(None))),
            ("pauses", pause, _recurring(gateway.name, Pledge.pause_requested_at.is_not(None))),
            ("customers", update_customer, _customer_updates(gateway.name)),
        )
        return [
            PendingOperation(kind, row_id, complete)
            for kind, complete, query in operations
            for row_id in session.scalars(query.limit(BATCH_SIZE))
        ]


def _checkouts(gateway: str, *, now: datetime.datetime) -> Select[uuid.UUID]:
    """Return the query of pledges whose checkout has no reference yet and is still within its time limit."""
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


def _refunds(gateway: str, *, now: datetime.datetime) -> Select[uuid.UUID]:
    """Return the query of requested refunds that no process is making right now."""
    return (
        select(Refund.id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(
            Refund.status == RefundStatus.REQUESTED,
            Payment.gateway == gateway,
            or_(Refund.locked_until.is_(None), Refund.locked_until <= now),
        )
        .order_by(Refund.id)
    )


def _recurring(gateway: str, condition: ColumnElement[bool]) -> Select[uuid.UUID]:
    """Return the query of active recurring pledges for which a change is pending."""
    return (
        select(Pledge.id)
        .where(
            Pledge.status.in_(RUNNING_STATUSES),
            Pledge.gateway == gateway,
            condition,
        )
        .order_by(Pledge.id)
    )


def _customer_updates(gateway: str) -> Select[uuid.UUID]:
    return (
        select(CustomerUpdate.id)
        .where(CustomerUpdate.gateway == gateway, CustomerUpdate.completed_at.is_(None))
        .order_by(CustomerUpdate.id)
    )


def _complete_checkout(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, urls: UrlBuilder
) -> None:
    with transaction() as session:
        pledge = get_pledge(session, pledge_id)
        campaign = pledge.campaign
    start_checkout(transaction, gateway, pledge, campaign, urls)
