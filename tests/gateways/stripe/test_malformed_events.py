"""Events that are malformed or of an unhandled kind."""

import json

import pytest

from service.domain.ports import InvalidEvent
from service.gateways.stripe import StripeEvents
from tests.gateways.stripe.factories import PLEDGE_ID, parsed_events

CHECKOUT_COMPLETED = "checkout.session.completed"


@pytest.mark.parametrize(
    "payload",
    ["", "null", "[]", "{", "{}", '{"type": "invoice.paid"}', "[" * 100_000]
    + [
        json.dumps({"type": kind, "created": 1, "data": {"object": obj}})
        for kind, obj in (
            (5, {}),
            ("invoice.paid", []),
            ("invoice.paid", {"subscription": "sub_1", "metadata": {"pledge_id": str(PLEDGE_ID)}}),
            (
                "invoice.paid",
                {
                    "subscription": "sub_1",
                    "metadata": {"pledge_id": str(PLEDGE_ID)},
                    "amount_paid": 5,
                    "id": "in_1",
                },
            ),
            (
                "invoice.paid",
                {
                    "subscription": "sub_1",
                    "metadata": {"pledge_id": str(PLEDGE_ID)},
                    "amount_paid": 5.5,
                    "currency": "usd",
                },
            ),
            (
                CHECKOUT_COMPLETED,
                {"client_reference_id": str(PLEDGE_ID), "payment_status": "paid", "mode": "payment"},
            ),
            ("customer.subscription.deleted", {"metadata": {"pledge_id": str(PLEDGE_ID)}}),
            ("charge.refunded", {}),
        )
    ]
    + [json.dumps({"type": CHECKOUT_COMPLETED, "created": "now", "data": {"object": {}}})],
)
def test_malformed_event_raises_invalid_event(events: StripeEvents, payload: str) -> None:
    with pytest.raises(InvalidEvent):
        events.parse_event(payload)


def test_unhandled_kind_yields_nothing(events: StripeEvents) -> None:
    assert (
        parsed_events(events, {"type": "charge.updated", "created": 1, "data": {"object": {"id": "ch_1"}}}) == []
    )
