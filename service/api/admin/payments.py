"""Payments, for staff: list those of a pledge, refund one or send its receipt again, cancel a pledge."""

import uuid
from typing import Any

from schemas.admin import PaymentList, ReceiptSent, RefundPage, RefundQuery, RefundRequest, RefundResponse
from schemas.enums import EmailStatus, RefundStatus, Scope
from schemas.pledge import PageQuery, PledgeResponse
from service.api.auth import require_scope, write_audit_log
from service.api.blueprint import ResourceBlueprint, require_idempotency_key
from service.api.pledges import IDEMPOTENCY_KEY_DOC, serialize_pledge
from service.db.models.payment import Refund
from service.domain.ledger import totals as ledger_totals
from service.domain.notifications.receipt_delivery import send_receipt_again
from service.domain.pagination import Page
from service.domain.payments import refunds
from service.domain.payments.refunds import RefundFilter
from service.domain.pledges import subscriptions
from service.domain.pledges.pledges import get_pledge
from service.web import current_container, read_only, transaction

admin_payments = ResourceBlueprint(
    "payments", __name__, url_prefix="/v1/admin", description="Payments, receipts, refunds and cancellations."
)


@admin_payments.route("/pledges/<uuid:pledge_id>/payments")
@require_scope(Scope.READ)
@admin_payments.response(200, PaymentList)
def list_payments(pledge_id: uuid.UUID) -> dict[str, Any]:
    """List all payments of a pledge, with their refunds, disputes and balance transactions."""
    with read_only() as session:
        pledge = get_pledge(session, pledge_id)
        return {"items": ledger_totals.list_payments(session, pledge_id), "schedule": pledge}


@admin_payments.route("/pledges/<uuid:pledge_id>/cancel", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_payments.response(200, PledgeResponse)
def cancel_pledge(pledge_id: uuid.UUID) -> dict[str, Any]:
    """Cancel a recurring pledge immediately; its supporter gets an email."""
    container = current_container()
    with transaction() as session:
        write_audit_log(session, "cancel_pledge", {"pledge": str(pledge_id)}, now=container.clock())
    pledge = subscriptions.cancel_pledge(
        container.database.transaction, container.gateway, pledge_id, clock=container.clock
    )
    return serialize_pledge(pledge)


@admin_payments.route("/payments/<uuid:payment_id>/refund", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_payments.doc(parameters=[IDEMPOTENCY_KEY_DOC])
@admin_payments.arguments(RefundRequest)
@admin_payments.alt_response(
    202,
    schema=RefundResponse,
    description="Stripe does not answer, so the refund is requested and is made later.",
)
@admin_payments.response(200, RefundResponse)
def refund_payment(payload: dict[str, int], payment_id: uuid.UUID) -> tuple[Refund, int]:
    """Refund part of a payment, or all that has not been refunded yet."""
    container, amount, key = current_container(), payload.get("amount"), require_idempotency_key()
    with transaction() as session:
        details = {"payment": str(payment_id), "amount": amount}
        write_audit_log(session, "refund_payment", details, now=container.clock())
    refund = refunds.refund_payment(
        container.database.transaction,
        container.gateway,
        payment_id,
        amount_minor=amount,
        key=key,
        clock=container.clock,
    )
    return refund, 202 if refund.status == RefundStatus.REQUESTED else 200


@admin_payments.route("/payments/<uuid:payment_id>/receipt", methods=["POST"])
@require_scope(Scope.MANAGE)
@admin_payments.response(202, ReceiptSent)
def send_receipt(payment_id: uuid.UUID) -> dict[str, Any]:
    """Email the receipt of a payment to its supporter again; a repeat within 5 minutes sends nothing."""
    container = current_container()
    with transaction() as session:
        write_audit_log(session, "send_receipt", {"payment": str(payment_id)}, now=container.clock())
    with transaction() as session:
        send_receipt_again(
            session, payment_id, sandbox_recipients=container.settings.sandbox_recipients, now=container.clock()
        )
    return {"payment_id": payment_id, "status": EmailStatus.SCHEDULED}


class RefundListQuery(RefundQuery, PageQuery):
    """Filters and pagination of the list of refunds."""


@admin_payments.route("/refunds")
@require_scope(Scope.READ)
@admin_payments.arguments(RefundListQuery, location="query")
@admin_payments.response(200, RefundPage)
def list_refunds(query: dict[str, Any]) -> Page:
    """List refunds, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    with read_only() as session:
        return refunds.list_refunds(session, RefundFilter(**query), limit=limit, cursor=cursor)


@admin_payments.route("/refunds/<uuid:refund_id>", methods=["DELETE"])
@require_scope(Scope.MANAGE)
@admin_payments.response(204)
def withdraw_refund(refund_id: uuid.UUID) -> None:
    """Withdraw a refund that is requested and not made yet."""
    container = current_container()
    with transaction() as session:
        write_audit_log(session, "withdraw_refund", {"refund": str(refund_id)}, now=container.clock())
    refunds.withdraw_refund(container.database.transaction, container.gateway, refund_id, clock=container.clock)
