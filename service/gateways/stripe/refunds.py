"""Refunds at Stripe: read one, list those of a payment, create one.

Where an operation makes more than one call, the library retries none, so that together they end within ten
seconds. See https://docs.stripe.com/api/refunds and https://docs.stripe.com/refunds#failed-refunds.
"""

import datetime
import uuid
from dataclasses import replace
from typing import Any, Final

from stripe import RequestOptions

from schemas.enums import RefundStatus
from service.domain.money import Money
from service.domain.ports import GatewayRefunds, GatewayRejected, RefundParams
from service.domain.ports.payment_events import RefundUpdated
from service.gateways.stripe.client import NO_RETRIES, StripeApiClient, call_idempotent
from service.gateways.stripe.currencies import to_stripe_amount
from service.gateways.stripe.event_fields import (
    StripeJson,
    get_path,
    money_field,
    parse_timestamp,
    parse_uuid,
    require_id,
)
from service.gateways.stripe.payments import is_invoice, payment_for_invoice

REFUND_METADATA_KEY: Final = "refund_id"
STATUSES: Final = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.CANCELLED,
}
NOT_PAID_BACK_STATUSES: Final = (RefundStatus.FAILED, RefundStatus.CANCELLED)
CHARGE_PREFIXES: Final = ("ch_", "py_")
PAGE_SIZE: Final = 100


def to_refund_updated(
    refund: StripeJson, references: tuple[str, ...], *, reported_at: datetime.datetime | None = None
) -> RefundUpdated:
    """Translate a refund; `reported_at` is the time of the event that reports it, if one does.

    A status that is not known yet counts as pending. Very old API versions have none: their refunds succeeded.

    Raises:
        InvalidEvent: the id, the amount or the currency is missing or malformed.
    """
    status = refund.get("status")
    known = RefundStatus.SUCCEEDED if status is None else STATUSES.get(str(status), RefundStatus.PENDING)
    has_ended = known in NOT_PAID_BACK_STATUSES
    return RefundUpdated(
        references=references,
        refund=require_id(refund),
        money=money_field(refund, "amount"),
        occurred_at=parse_timestamp(refund.get("created")) or reported_at or datetime.datetime.now(datetime.UTC),
        refund_id=parse_uuid(get_path(refund, "metadata", REFUND_METADATA_KEY)),
        status=known,
        ended_at=reported_at if has_ended else None,
        reason=_failure_reason(refund) if has_ended else None,
    )


def list_refunds(
    api: StripeApiClient, payment: dict[str, str], *, options: RequestOptions | None = None
) -> list[StripeJson]:
    """Return every refund of a payment, which is `{"payment_intent": …}` or `{"charge": …}`, newest first.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe does not know the payment.
    """
    refunds: list[StripeJson] = []
    params: dict[str, Any] = {**payment, "limit": PAGE_SIZE}
    while True:
        page = api.call("list_refunds", lambda v1, params=params: v1.refunds.list(params, options))  # type: ignore[misc]
        refunds += [refund.to_dict() for refund in page.data]
        if not page.has_more or not page.data:
            return refunds
        params = {**params, "starting_after": page.data[-1].id}


def find_refunds(api: StripeApiClient, payment_reference: str) -> GatewayRefunds:
    """Return every refund of a payment.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe does not know the payment.
    """
    payment = _find_payment(api, payment_reference)
    refunds = list_refunds(api, payment, options=NO_RETRIES)
    [reference] = payment.values()
    return GatewayRefunds(
        payment_reference=reference,
        refunds=tuple(to_refund_updated(refund, (payment_reference,)) for refund in refunds),
    )


def create_refund(api: StripeApiClient, params: RefundParams) -> RefundUpdated:
    """Refund money of a payment; return Stripe's refund.

    Stripe keeps an idempotency key for a day, and a retry may come later. So a refund with our id in its metadata
    is looked up first.

    Raises:
        GatewayUnavailable: Stripe did not answer or cannot serve us now.
        GatewayRejected: Stripe rejected the request.
    """
    payment = _find_payment(api, params.payment_reference)
    refund = _find_refund(api, payment, params.refund_id) or _create_refund(api, payment, params)
    return replace(to_refund_updated(refund, (params.payment_reference,)), refund_id=params.refund_id)


def _find_payment(api: StripeApiClient, reference: str) -> dict[str, str]:
    if not is_invoice(reference):
        return {"charge" if reference.startswith(CHARGE_PREFIXES) else "payment_intent": reference}
    payment = payment_for_invoice(api, reference, options=NO_RETRIES)
    if payment is None:
        raise GatewayRejected("Stripe knows no payment of this invoice.")
    return payment


def _create_refund(api: StripeApiClient, payment: dict[str, str], params: RefundParams) -> StripeJson:
    request: dict[str, Any] = {
        **payment,
        "amount": _amount(params.money),
        "metadata": {REFUND_METADATA_KEY: str(params.refund_id)},
    }
    return call_idempotent(
        api,
        "create_refund",
        f"refund/{params.refund_id}",
        lambda v1, options: v1.refunds.create(request, options).to_dict(),  # type: ignore[arg-type]
        find_existing=lambda: _find_refund(api, payment, params.refund_id),
        retries=0,
    )


def _find_refund(api: StripeApiClient, payment: dict[str, str], refund_id: uuid.UUID) -> StripeJson | None:
    for refund in list_refunds(api, payment, options=NO_RETRIES):
        if get_path(refund, "metadata", REFUND_METADATA_KEY) == str(refund_id):
            return refund
    return None


def _failure_reason(refund: StripeJson) -> str:
    """Return why the refund did not reach the reader, in words for staff."""
    if refund.get("status") == "canceled":
        return "The refund was cancelled at Stripe."
    reason = refund.get("failure_reason")
    if not isinstance(reason, str) or not reason.replace("_", "").isalnum():
        return "The reader's bank did not accept this refund."
    return f"The reader's bank did not accept this refund ({reason.replace('_', ' ')})."


def _amount(money: Money) -> int:
    try:
        return to_stripe_amount(money)
    except ValueError as error:
        raise GatewayRejected(str(error)) from error
