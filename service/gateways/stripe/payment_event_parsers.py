"""Translate Stripe's events about a payment that was made: refunds, disputes and early fraud warnings.

One section for each Stripe object. An event about a payment of another product yields nothing.
"""

from typing import Final

from schemas.enums import DisputeStatus
from service.domain.ports import GatewayBalanceTransaction, GatewayRejected, InvalidEvent
from service.domain.ports.payment_events import (
    DisputeUpdated,
    FraudWarned,
    PaymentEvent,
    RefundedTotalUpdated,
)
from service.gateways.stripe.balance import to_balance_transaction
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.event_fields import (
    ParsedEvent,
    StripeJson,
    get_path,
    list_data,
    money_field,
    object_id,
    require_id,
)
from service.gateways.stripe.payments import payment_references
from service.gateways.stripe.refunds import list_refunds, to_refund_updated

INQUIRY_PREFIX: Final = "warning_"
# Every other status is an inquiry or an open dispute.
DISPUTE_OUTCOMES: Final = {
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "prevented": DisputeStatus.PREVENTED,
    "warning_closed": DisputeStatus.CLOSED,
}

# Charge and its refunds


def parse_charge_refunded(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return every refund of a charge, each by its own id, or their total if Stripe does not list them.

    Only API versions before 2022-11-15 include the refunds in the charge.
    """
    charge = event.object
    references = payment_references(api, charge_id=require_id(charge), charge=charge)
    if not references:
        return []
    refunds = _refunds_of_charge(api, charge)
    if refunds:
        return [to_refund_updated(refund, references) for refund in refunds]
    total = money_field(charge, "amount_refunded")
    if total.amount_minor <= 0:
        return []
    return [
        RefundedTotalUpdated(
            references=references, charge=require_id(charge), money=total, occurred_at=event.occurred_at
        )
    ]


def parse_refund(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return a refund in the status that the event reports."""
    refund = event.object
    if refund.get("object", "refund") != "refund":
        return []
    references = _references_of_payment(api, refund)
    return [to_refund_updated(refund, references, reported_at=event.occurred_at)] if references else []


def _refunds_of_charge(api: StripeApiClient, charge: StripeJson) -> list[StripeJson]:
    """Return the refunds of a charge, from the event if it holds them all; none if Stripe does not list them."""
    embedded = list_data(charge, "refunds")
    if embedded and not get_path(charge, "refunds", "has_more"):
        return embedded
    try:
        return list_refunds(api, {"charge": require_id(charge)})
    except GatewayRejected:
        return []


# Dispute, see https://docs.stripe.com/disputes/how-disputes-work


def parse_dispute(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the state of a dispute or inquiry, with the balance transactions that it names."""
    dispute = event.object
    references = _references_of_payment(api, dispute)
    if not references:
        return []
    reason = dispute.get("reason")
    return [
        DisputeUpdated(
            references=references,
            dispute=require_id(dispute),
            status=_dispute_status(str(dispute.get("status"))),
            money=money_field(dispute, "amount"),
            occurred_at=event.occurred_at,
            reason=reason if isinstance(reason, str) else None,
            balance_transactions=_dispute_balance_transactions(dispute),
        )
    ]


def _dispute_status(status: str) -> DisputeStatus:
    is_inquiry = status.startswith(INQUIRY_PREFIX)
    return DISPUTE_OUTCOMES.get(status, DisputeStatus.INQUIRY if is_inquiry else DisputeStatus.OPEN)


def _dispute_balance_transactions(dispute: StripeJson) -> tuple[GatewayBalanceTransaction, ...]:
    listed = dispute.get("balance_transactions")
    if not isinstance(listed, list):
        return ()
    try:
        found = [to_balance_transaction({**item, "source": dispute}) for item in listed if isinstance(item, dict)]
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise InvalidEvent("A balance transaction of the dispute is malformed.") from error
    return tuple(transaction for transaction in found if transaction is not None)


def _references_of_payment(api: StripeApiClient, obj: StripeJson) -> tuple[str, ...]:
    """Return the references of the payment that a refund, a dispute or a fraud warning is about."""
    intent = object_id(obj.get("payment_intent"))
    return payment_references(
        api, charge_id=object_id(obj.get("charge")), charge={"payment_intent": intent} if intent else None
    )


# Early fraud warning, see https://docs.stripe.com/disputes/measuring


def parse_fraud_warning(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Return the warning of the card's issuer that a payment may be fraudulent."""
    references = _references_of_payment(api, event.object)
    if not references:
        return []
    return [
        FraudWarned(
            references=references,
            warning=require_id(event.object),
            kind=str(event.object.get("fraud_type") or "unknown")[:64],
            occurred_at=event.occurred_at,
        )
    ]
