"""What is not in the form of its kind, is of a kind that we do not handle, or is of another product."""

import json
from collections.abc import Callable

import pytest

from service.domain.ports import InvalidEvent
from service.gateways.stripe import StripeEvents
from tests.gateways.stripe.factories import PLEDGE_ID, parsed_events
from tests.stripe_double.account import StripeJson

Lasts = Callable[[str], StripeJson]
DONE = "checkout.session.completed"


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
            (DONE, {"client_reference_id": str(PLEDGE_ID), "payment_status": "paid", "mode": "payment"}),
            ("customer.subscription.deleted", {"metadata": {"pledge_id": str(PLEDGE_ID)}}),
            ("charge.refunded", {}),
        )
    ]
    + [json.dumps({"type": DONE, "created": "now", "data": {"object": {}}})],
)
def test_what_is_not_in_its_form_is_named_unreadable(events: StripeEvents, payload: str) -> None:
    with pytest.raises(InvalidEvent):
        events.parse_event(payload)


def test_a_kind_that_we_do_not_handle_says_nothing(events: StripeEvents) -> None:
    assert (
        parsed_events(events, {"type": "charge.updated", "created": 1, "data": {"object": {"id": "ch_1"}}}) == []
    )
