"""What staff do about money: see a pledge's payments, send one back, end a pledge."""

import uuid
from typing import Any

from schemas.payment import PaymentList, RefundRequest, RefundResponse
from schemas.pledge import PledgeResponse
from schemas.vocabulary import Scope
from service.api.blueprint import ResourceBlueprint, idempotency_key
from service.api.pledges import KEY_HEADER
from service.api.staff_access import audit, staff_only
from service.db.payment import Refund
from service.domain.ledger.listing import list_payments
from service.domain.pledges.changing import cancel_pledge
from service.domain.pledges.making import get_pledge, total_charge
from service.domain.pledges.refunding import refund_payment
from service.web import current_container, read_only, transaction

admin_money = ResourceBlueprint(
    "money", __name__, url_prefix="/v1/admin", description="What staff do about money."
)


@admin_money.route("/pledges/<uuid:pledge_id>/payments")
@staff_only(Scope.READ)
@admin_money.response(200, PaymentList)
def show_payments(pledge_id: uuid.UUID) -> dict[str, Any]:
    """List all payments of a pledge, with what became of each."""
    with read_only() as session:
        get_pledge(session, pledge_id)
        return {"items": list_payments(session, pledge_id)}


@admin_money.route("/pledges/<uuid:pledge_id>/cancel", methods=["POST"])
@staff_only(Scope.MANAGE)
@admin_money.response(200, PledgeResponse)
def end_pledge(pledge_id: uuid.UUID) -> dict[str, Any]:
    """End a recurring pledge, for good and from now on; its reader is told."""
    container = current_container()
    with transaction() as session:
        audit(session, "cancel_pledge", {"pledge": str(pledge_id)}, now=container.clock())
    pledge = cancel_pledge(container.database.transaction, container.gateway, pledge_id, clock=container.clock)
    return {
        "id": pledge.id,
        "status": pledge.status,
        "frequency": pledge.frequency,
        "amount": pledge.amount_minor,
        "currency": pledge.currency,
        "fees": pledge.fees_minor,
        "total": total_charge(pledge).amount_minor,
        "created_at": pledge.created_at,
    }


@admin_money.route("/payments/<uuid:payment_id>/refund", methods=["POST"])
@staff_only(Scope.MANAGE)
@admin_money.doc(parameters=[KEY_HEADER])
@admin_money.arguments(RefundRequest)
@admin_money.response(200, RefundResponse)
def send_back(wish: dict[str, int], payment_id: uuid.UUID) -> Refund:
    """Send back an amount of a payment, or all that is left of it."""
    container, amount, key = current_container(), wish.get("amount"), idempotency_key()
    with transaction() as session:
        wanted = {"payment": str(payment_id), "amount": amount}
        audit(session, "refund_payment", wanted, now=container.clock())
    return refund_payment(
        container.database.transaction,
        container.gateway,
        payment_id,
        amount_minor=amount,
        key=key,
        clock=container.clock,
    )
