"""Money that goes back: refunds of a charge, and disputes about it.

See https://docs.stripe.com/refunds and https://docs.stripe.com/disputes. Neither bears our pledge's id if a
subscription took the money: then the charge's intent leads to the invoice, and that to its subscription.
"""

import uuid
from typing import Final

from schemas.vocabulary import DisputeStatus
from service.domain.ports import GatewayRejected
from service.domain.ports.news import DisputeUpdated, PaymentEvent, RefundUpdated
from service.gateways.stripe.client import StripeApi
from service.gateways.stripe.names import id_of
from service.gateways.stripe.orders import REFUND
from service.gateways.stripe.readers.payments import names_of
from service.gateways.stripe.readers.told import (
    Thing,
    Told,
    inside,
    instant,
    money_in,
    money_of,
    name_of,
    pledge_in,
    whole,
)

FAILED: Final = frozenset({"failed", "canceled"})
# An inquiry asks before a dispute, and moves no money; one that was prevented was paid back as a refund.
HARMLESS: Final = ("warning_", "prevented")
DECIDED: Final = {"won": DisputeStatus.WON, "lost": DisputeStatus.LOST}


def refunded(api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell of every refund of a charge, each by its own name."""
    charge = told.thing
    references = names_of(api, charge=name_of(charge), known=charge)
    if not references:
        return []
    refunds = _refunds(api, charge)
    if refunds is None:
        return _untold(told, references)
    return [
        RefundUpdated(
            references=references,
            refund=name_of(one),
            money=money_in(one, "amount"),
            occurred_at=instant(one.get("created")) or told.at,
            refund_id=_ours(one),
            failed=one.get("status") in FAILED,
        )
        for one in refunds
    ]


def disputed(api: StripeApi, told: Told) -> list[PaymentEvent]:
    """Tell that a reader's bank took the money back, or has decided about it."""
    dispute = told.thing
    status = str(dispute.get("status"))
    if status.startswith(HARMLESS):
        return []
    charge = id_of(dispute.get("charge"))
    intent = id_of(dispute.get("payment_intent"))
    references = names_of(api, charge=charge, known={"payment_intent": intent} if intent else None)
    if not references:
        return []
    return [
        DisputeUpdated(
            references=references,
            dispute=name_of(dispute),
            status=DECIDED.get(status, DisputeStatus.OPEN),
            money=money_in(dispute, "amount"),
            occurred_at=told.at,
        )
    ]


def _refunds(api: StripeApi, charge: Thing) -> list[Thing] | None:
    """Return the refunds of a charge, from the event if it names them all; None if Stripe does not list them."""
    listed = inside(charge, "refunds", "data")
    if isinstance(listed, list) and listed and not inside(charge, "refunds", "has_more"):
        return [one for one in listed if isinstance(one, dict)]
    found: list[Thing] = []
    after: str | None = None
    while True:
        try:
            page = api.ask(
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


def _untold(told: Told, references: tuple[str, ...]) -> list[PaymentEvent]:
    """Tell of what went back since the event before, under a name that the sum so far gives it."""
    charge = told.thing
    so_far, before = whole(charge, "amount_refunded"), told.before.get("amount_refunded")
    amount = so_far - before if type(before) is int else so_far
    if amount <= 0:
        return []
    return [
        RefundUpdated(
            references=references,
            refund=f"{charge['id']}@{so_far}",
            money=money_of(amount, charge.get("currency")),
            occurred_at=told.at,
        )
    ]


def _ours(refund: Thing) -> uuid.UUID | None:
    return pledge_in(inside(refund, "metadata", REFUND))
