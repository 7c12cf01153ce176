"""Money that goes back: refunds of a charge, and disputes about it.

See https://docs.stripe.com/refunds and https://docs.stripe.com/disputes. Neither bears our pledge's id if a
subscription took the money: then the charge's intent leads to the invoice, and that to its subscription.
"""

import uuid
from typing import Final

from schemas.enums import DisputeStatus
from service.domain.ports import GatewayRejected
from service.domain.ports.payment_events import DisputeUpdated, PaymentEvent, RefundUpdated
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.names import object_id
from service.gateways.stripe.orders import REFUND_METADATA_KEY
from service.gateways.stripe.readers.payments import payment_references
from service.gateways.stripe.readers.told import (
    ParsedEvent,
    StripeJson,
    find_pledge_id,
    get_path,
    money_field,
    parse_timestamp,
    require_id,
    require_int,
    to_money,
)

FAILED_REFUND_STATUSES: Final = frozenset({"failed", "canceled"})
# An inquiry asks before a dispute, and moves no money; one that was prevented was paid back as a refund.
IGNORED_DISPUTE_PREFIXES: Final = ("warning_", "prevented")
DISPUTE_OUTCOMES: Final = {"won": DisputeStatus.WON, "lost": DisputeStatus.LOST}


def parse_charge_refunded(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell of every refund of a charge, each by its own name."""
    charge = event.object
    references = payment_references(api, charge=require_id(charge), known=charge)
    if not references:
        return []
    refunds = _refunds(api, charge)
    if refunds is None:
        return _refund_from_totals(event, references)
    return [
        RefundUpdated(
            references=references,
            refund=require_id(one),
            money=money_field(one, "amount"),
            occurred_at=parse_timestamp(one.get("created")) or event.occurred_at,
            refund_id=_refund_id(one),
            failed=one.get("status") in FAILED_REFUND_STATUSES,
        )
        for one in refunds
    ]


def parse_dispute(api: StripeApiClient, event: ParsedEvent) -> list[PaymentEvent]:
    """Tell that a reader's bank took the money back, or has decided about it."""
    dispute = event.object
    status = str(dispute.get("status"))
    if status.startswith(IGNORED_DISPUTE_PREFIXES):
        return []
    charge = object_id(dispute.get("charge"))
    intent = object_id(dispute.get("payment_intent"))
    references = payment_references(api, charge=charge, known={"payment_intent": intent} if intent else None)
    if not references:
        return []
    return [
        DisputeUpdated(
            references=references,
            dispute=require_id(dispute),
            status=DISPUTE_OUTCOMES.get(status, DisputeStatus.OPEN),
            money=money_field(dispute, "amount"),
            occurred_at=event.occurred_at,
        )
    ]


def _refunds(api: StripeApiClient, charge: StripeJson) -> list[StripeJson] | None:
    """Return the refunds of a charge, from the event if it names them all; None if Stripe does not list them."""
    listed = get_path(charge, "refunds", "data")
    if isinstance(listed, list) and listed and not get_path(charge, "refunds", "has_more"):
        return [one for one in listed if isinstance(one, dict)]
    found: list[StripeJson] = []
    after: str | None = None
    while True:
        try:
            page = api.call(
                "list_refunds",
                lambda v1, after=after: v1.refunds.list(  # type: ignore[misc]
                    {"charge": charge["id"], "limit": 100, **({"starting_after": after} if after else {})}
                ),
            )
        except GatewayRejected:
            return None
        found += [one.to_dict() for one in page.data]
        if not page.has_more or not found:
            return found
        after = found[-1]["id"]


def _refund_from_totals(event: ParsedEvent, references: tuple[str, ...]) -> list[PaymentEvent]:
    """Tell of what went back since the event before, under a name that the sum so far gives it."""
    charge = event.object
    so_far, before = require_int(charge, "amount_refunded"), event.previous_attributes.get("amount_refunded")
    amount = so_far - before if type(before) is int else so_far
    if amount <= 0:
        return []
    return [
        RefundUpdated(
            references=references,
            refund=f"{charge['id']}@{so_far}",
            money=to_money(amount, charge.get("currency")),
            occurred_at=event.occurred_at,
        )
    ]


def _refund_id(refund: StripeJson) -> uuid.UUID | None:
    return find_pledge_id(get_path(refund, "metadata", REFUND_METADATA_KEY))
