"""The open invoice of a past due pledge: the link to pay or confirm it, and charging it again.

A retry is recorded before the gateway is called, and its outcome afterwards. After a crash in between, the same
call completes it. No transaction is open during a call to the gateway.
"""

import datetime
import uuid
from collections.abc import Callable

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import PaymentStatus, PledgeStatus
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.errors import (
    GatewayMismatch,
    NothingToPay,
    PaymentDeclined,
    PaymentRequestRejected,
    PaymentsUnavailable,
)
from service.domain.pledges.pledges import get_pledge
from service.domain.pledges.subscriptions import require_same_gateway, translate_gateway_errors
from service.domain.ports import Clock, PaymentGateway, TransactionFactory

BATCH_SIZE = 50

log = structlog.get_logger()


def open_invoice_url(pledge: Pledge) -> str | None:
    """Return the gateway's page where the reader pays or confirms the open invoice; None if nothing is owed."""
    return pledge.open_invoice_url or None if pledge.status == PledgeStatus.PAST_DUE else None


def needs_confirmation(pledge: Pledge) -> bool:
    """Whether the bank wants the payment of the open invoice confirmed."""
    action_at, invoice_at = pledge.action_required_at, pledge.open_invoice_at
    return action_at is not None and invoice_at is not None and action_at >= invoice_at


def record_open_invoice(
    session: Session, pledge: Pledge, *, invoice: str, url: str | None, at: datetime.datetime
) -> None:
    """Record the invoice that could not be charged, unless a newer one is known or it has been paid since.

    If the customer has saved a card since, it is charged again.
    """
    if pledge.open_invoice_at is not None and at < pledge.open_invoice_at:
        return
    paid = select(Payment.id).where(
        Payment.pledge_id == pledge.id,
        Payment.gateway_reference == invoice,
        Payment.status != PaymentStatus.FAILED,
    )
    is_settled = pledge.settled_outside_at is not None and at <= pledge.settled_outside_at
    if is_settled or session.scalar(paid.limit(1)) is not None:
        return
    if pledge.open_invoice_reference != invoice or url is not None:
        # The page is personal, so the link does not come back after an erasure.
        pledge.open_invoice_url = url if pledge.erased_at is None else None
    pledge.open_invoice_reference, pledge.open_invoice_at = invoice, at
    if pledge.payment_method_changed_at is not None and at < pledge.payment_method_changed_at:
        pledge.invoice_retry_requested_at = pledge.payment_method_changed_at


def close_invoice(pledge: Pledge, invoice: str) -> None:
    """Forget the link to an invoice that is settled."""
    if pledge.open_invoice_reference == invoice:
        pledge.open_invoice_reference = pledge.open_invoice_url = None
        pledge.invoice_retry_requested_at = None


def request_invoice_retries(
    session: Session, gateway: str, customer: str, *, at: datetime.datetime
) -> list[uuid.UUID]:
    """Request that the open invoices of a customer with a new card are charged again; return their pledges' ids.

    An attempt that failed after the card was saved was made with that card, and is not repeated.
    """
    pledges = session.scalars(
        select(Pledge)
        .where(Pledge.gateway == gateway, Pledge.customer_reference == customer)
        .order_by(Pledge.id)
        .with_for_update()
    ).all()
    for pledge in pledges:
        # The failure may be reported after the card.
        pledge.payment_method_changed_at = max(pledge.payment_method_changed_at or at, at)
        is_owed = pledge.status == PledgeStatus.PAST_DUE and pledge.open_invoice_reference is not None
        if is_owed and pledge.open_invoice_at is not None and pledge.open_invoice_at < at:
            pledge.invoice_retry_requested_at = at
    return [pledge.id for pledge in pledges]


def owes_invoice(pledge: Pledge) -> bool:
    """Whether the reader can pay an open invoice at once."""
    return pledge.status == PledgeStatus.PAST_DUE and pledge.open_invoice_reference is not None


def open_invoice_page(gateway: PaymentGateway, pledge: Pledge) -> str:
    """Return the gateway's page where the reader pays or confirms the open invoice, with any card.

    Call it without an open transaction. The gateway is asked, because the invoice may have been paid since, and
    the address of its page expires.

    Raises:
        NothingToPay: there is no open invoice.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the same call may succeed later.
        PaymentRequestRejected: the gateway has no such invoice, or no page for it.
    """
    reference = _require_open_invoice(pledge)
    require_same_gateway(pledge, gateway)
    with translate_gateway_errors():
        invoice = gateway.get_invoice(reference)
    if not invoice.is_open:
        raise NothingToPay("This invoice is paid, or was given up.")
    if invoice.url is None:
        raise PaymentRequestRejected("The payment provider has no page for this invoice.")
    return invoice.url


def charge_open_invoice(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID, *, clock: Clock
) -> None:
    """Charge the open invoice of a pledge now with the customer's present card.

    The request is recorded first. Pressing the button twice charges once: both requests have the same
    idempotency key, or the second finds the invoice paid. The gateway's events report the outcome.

    Raises:
        PledgeNotFound: no pledge has this id.
        NothingToPay: there is no open invoice.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the request is recorded, and the reconciler completes it.
        PaymentDeclined: the card was declined, or the bank wants the payment confirmed.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        _require_open_invoice(pledge)
        require_same_gateway(pledge, gateway)
        pledge.invoice_retry_requested_at = pledge.invoice_retry_requested_at or clock()
    if retry_open_invoice(transaction, gateway, pledge_id) is False:
        raise PaymentDeclined("The card was declined, or the bank wants the payment confirmed.")


def _require_open_invoice(pledge: Pledge) -> str:
    """Return the reference of the open invoice.

    Raises:
        NothingToPay: there is none, or the reader has cancelled.
    """
    if not owes_invoice(pledge) or pledge.open_invoice_reference is None or pledge.cancel_requested_at is not None:
        raise NothingToPay("This pledge has no open invoice.")
    return pledge.open_invoice_reference


def retry_open_invoices(
    transaction: TransactionFactory, gateway: PaymentGateway, *, should_continue: Callable[[], bool] = lambda: True
) -> int:
    """Charge every open invoice for which that was requested; return how many calls the gateway answered."""
    with transaction() as session:
        pledge_ids = session.scalars(
            select(Pledge.id)
            .where(Pledge.invoice_retry_requested_at.is_not(None), Pledge.gateway == gateway.name)
            .order_by(Pledge.invoice_retry_requested_at)
            .limit(BATCH_SIZE)
        ).all()
    answered = 0
    for pledge_id in pledge_ids:
        if not should_continue():
            break
        try:
            retry_open_invoice(transaction, gateway, pledge_id)
        except (PaymentsUnavailable, GatewayMismatch):
            continue
        answered += 1
    return answered


def retry_open_invoice(
    transaction: TransactionFactory, gateway: PaymentGateway, pledge_id: uuid.UUID
) -> bool | None:
    """Charge the open invoice of a pledge with the customer's present card, if that was requested.

    Return whether it is paid now, or None if there was nothing to charge. The gateway's events report the outcome,
    so a card that is declined again leads to an email as always. A pledge that was cancelled or paid since the
    request is not charged.

    Raises:
        PledgeNotFound: no pledge has this id.
        GatewayMismatch: the pledge was made with another gateway.
        PaymentsUnavailable: the request stays recorded.
    """
    with transaction() as session:
        pledge = get_pledge(session, pledge_id)
        invoice, requested_at = pledge.open_invoice_reference, pledge.invoice_retry_requested_at
        is_owed = pledge.status == PledgeStatus.PAST_DUE and pledge.cancel_requested_at is None
    if requested_at is None:
        return None
    is_paid = None
    if invoice is not None and is_owed:
        require_same_gateway(pledge, gateway)
        try:
            with translate_gateway_errors():
                gateway.pay_invoice(invoice, key=f"{invoice}/{int(requested_at.timestamp())}")
            is_paid = True
        except PaymentRequestRejected as error:
            is_paid = False
            log.info("invoice_retry_refused", pledge=str(pledge_id), reason=error.detail)
    with transaction() as session:
        pledge = get_pledge(session, pledge_id, for_update=True)
        # A card that was saved during the call is tried as well.
        if pledge.invoice_retry_requested_at == requested_at:
            pledge.invoice_retry_requested_at = None
    return is_paid
