"""Events in the current API version of Stripe, and the payment events that they are translated to."""

import datetime
from collections.abc import Callable

import pytest

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    CheckoutExpired,
    InvoiceSettled,
    PaymentBounced,
    PaymentFailed,
    PaymentSucceeded,
    RenewalUpcoming,
    SubscriptionUpdated,
)
from service.gateways.stripe import StripeEvents, StripeGateway
from service.gateways.stripe.event_parsers import EVENT_PARSERS
from tests.clock import FakeClock
from tests.gateways.stripe.factories import EMAIL, PLEDGE_ID, checkout_params, parsed_events, pay_once, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import one_year_subscription

LatestEvent = Callable[[str], StripeJson]
CHECKOUT_COMPLETED = "checkout.session.completed"


def test_paid_one_time_checkout_yields_completion_and_payment_by_intent(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, clock: FakeClock
) -> None:
    session = pay_once(gateway, double)
    # The payment comes first, so that a paid checkout is never `processing`.
    assert parsed_events(events, latest_event(CHECKOUT_COMPLETED)) == [
        PaymentSucceeded(
            reference=session["payment_intent"],
            money=Money(1250, "USD"),
            occurred_at=clock(),
            pledge_id=PLEDGE_ID,
            customer=session["customer"],
        ),
        CheckoutCompleted(
            pledge_id=PLEDGE_ID,
            occurred_at=clock(),
            completed_at=clock(),
            email=EMAIL,
            customer=session["customer"],
        ),
    ]


def test_paid_subscription_checkout_yields_completion_and_payment_by_invoice(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, clock: FakeClock
) -> None:
    session = subscribe(gateway, double, 500)
    names = {"subscription": session["subscription"], "customer": session["customer"]}
    paid, completed = parsed_events(events, latest_event(CHECKOUT_COMPLETED))
    assert completed == CheckoutCompleted(
        pledge_id=PLEDGE_ID, occurred_at=clock(), completed_at=clock(), email=EMAIL, **names
    )
    assert paid == PaymentSucceeded(
        reference=session["invoice"],
        money=Money(500, "USD"),
        occurred_at=clock(),
        pledge_id=PLEDGE_ID,
        is_provisional=True,
        **names,
    )
    (again,) = parsed_events(events, latest_event("invoice.paid"))
    assert isinstance(again, PaymentSucceeded)
    assert (again.reference, again.money, again.occurred_at) == (paid.reference, paid.money, paid.occurred_at)
    # From 23 November to 23 December.
    assert again.renews_at == clock() + datetime.timedelta(days=30)


def test_repr_of_events_contains_no_email_address(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    pay_once(gateway, double)
    assert EMAIL not in repr(parsed_events(events, latest_event(CHECKOUT_COMPLETED)))


def test_bank_debit_yields_completion_first_and_payment_when_it_settles(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    reference = gateway.create_checkout(checkout_params()).reference
    double.pay_by_bank_debit(reference)
    assert [type(payment_event) for payment_event in parsed_events(events, latest_event(CHECKOUT_COMPLETED))] == [
        CheckoutCompleted
    ]
    double.settle_bank_debit(reference)
    paid, completed = parsed_events(events, latest_event("checkout.session.async_payment_succeeded"))
    assert isinstance(completed, CheckoutCompleted)
    # It was completed days before.
    assert completed.completed_at is None
    assert isinstance(paid, PaymentSucceeded)
    assert paid.reference == double.get(reference)["payment_intent"]


def test_failed_bank_debit_of_one_time_checkout_bounces(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    reference = gateway.create_checkout(checkout_params()).reference
    double.pay_by_bank_debit(reference)
    double.fail_bank_debit(reference)
    parsed = parsed_events(events, latest_event("checkout.session.async_payment_failed"))
    assert [type(payment_event) for payment_event in parsed] == [CheckoutCompleted, PaymentBounced]
    (failed,) = parsed_events(events, latest_event("payment_intent.payment_failed"))
    assert isinstance(failed, PaymentFailed)
    assert failed.reference == double.charge_of(reference)["id"]


def test_failed_bank_debit_of_subscription_is_reported_by_its_invoice(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    reference = gateway.create_checkout(checkout_params(Frequency.MONTHLY, 500)).reference
    double.pay_by_bank_debit(reference)
    double.fail_bank_debit(reference)
    parsed = parsed_events(events, latest_event("checkout.session.async_payment_failed"))
    assert [type(payment_event) for payment_event in parsed] == [CheckoutCompleted, PaymentBounced]
    assert [
        type(payment_event) for payment_event in parsed_events(events, latest_event("invoice.payment_failed"))
    ] == [PaymentFailed]
    # The intent of an invoice has no pledge metadata; the invoice event reports the same attempt.
    assert parsed_events(events, latest_event("payment_intent.payment_failed")) == []


def test_abandoned_checkout_expires(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, clock: FakeClock
) -> None:
    double.abandon(gateway.create_checkout(checkout_params()).reference)
    assert parsed_events(events, latest_event("checkout.session.expired")) == [
        CheckoutExpired(pledge_id=PLEDGE_ID, occurred_at=clock())
    ]


def test_declined_card_is_a_failed_attempt_identified_by_charge(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, clock: FakeClock
) -> None:
    reference = gateway.create_checkout(checkout_params()).reference
    double.decline(reference)
    double.decline(reference)
    tries = [event for event in double.events if event["type"] == "payment_intent.payment_failed"]
    first, second = (parsed_events(events, event)[0] for event in tries)
    assert isinstance(first, PaymentFailed)
    assert isinstance(second, PaymentFailed)
    assert first.reference != second.reference
    assert (first.invoice, first.money, first.occurred_at) == (second.invoice, Money(1250, "USD"), clock())
    assert (first.attempt, first.next_attempt_at, first.pledge_id) == (1, None, PLEDGE_ID)


def test_upcoming_renewal_is_due_when_paid_period_ends(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent
) -> None:
    reference = subscribe(gateway, double)["subscription"]
    (paid,) = parsed_events(events, latest_event("invoice.paid"))
    assert isinstance(paid, PaymentSucceeded)
    double.emit_upcoming(reference)
    event = latest_event("invoice.upcoming")
    assert parsed_events(events, event) == [
        RenewalUpcoming(
            subscription=reference,
            renews_at=paid.renews_at,
            occurred_at=datetime.datetime.fromtimestamp(event["created"], datetime.UTC),
            pledge_id=PLEDGE_ID,
        )
    ]


def test_failed_renewal_has_attempt_number_and_next_attempt(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, clock: FakeClock
) -> None:
    reference = subscribe(gateway, double)["subscription"]
    double.fail_renewal(reference)
    (failed,) = parsed_events(events, latest_event("invoice.payment_failed"))
    invoice = double.get(reference)["latest_invoice"]
    assert failed == PaymentFailed(
        reference=f"{invoice}#1",
        invoice=invoice,
        money=Money(500, "USD"),
        occurred_at=clock(),
        attempt=1,
        next_attempt_at=clock() + datetime.timedelta(days=3),
        pledge_id=PLEDGE_ID,
        subscription=reference,
        invoice_url=double.get(invoice)["hosted_invoice_url"],
    )
    (updated,) = parsed_events(events, latest_event("customer.subscription.updated"))
    assert isinstance(updated, SubscriptionUpdated)
    assert (updated.is_past_due, updated.is_started, updated.ended) == (True, True, False)
    double.fail_retry(reference)
    (again,) = parsed_events(events, latest_event("invoice.payment_failed"))
    assert isinstance(again, PaymentFailed)
    assert (again.reference, again.attempt) == (f"{invoice}#2", 2)
    double.exhaust_retries(reference)
    (last,) = parsed_events(events, latest_event("invoice.payment_failed"))
    assert isinstance(last, PaymentFailed)
    assert last.next_attempt_at is None
    (ended,) = parsed_events(events, latest_event("customer.subscription.deleted"))
    assert isinstance(ended, SubscriptionUpdated)
    assert (ended.ended, ended.is_past_due, ended.renews_at) == (True, False, None)


def test_amount_change_yields_new_amount_and_renewal_date(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, latest_event: LatestEvent, clock: FakeClock
) -> None:
    session = subscribe(gateway, double)
    gateway.update_subscription_amount(session["subscription"], Money(900, "USD"), pledge_id=PLEDGE_ID)
    (updated,) = parsed_events(events, latest_event("customer.subscription.updated"))
    assert updated == SubscriptionUpdated(
        subscription=session["subscription"],
        occurred_at=clock(),
        is_started=True,
        money=Money(900, "USD"),
        frequency=Frequency.MONTHLY,
        renews_at=clock() + datetime.timedelta(days=30),
        pledge_id=PLEDGE_ID,
        customer=session["customer"],
        state=updated.state,
        previous_state=updated.previous_state,
    )
    assert updated.state != updated.previous_state


def test_end_of_the_period_is_when_a_subscription_ends_if_stripe_gives_no_instant(
    gateway: StripeGateway, events: StripeEvents, double: FakeStripe
) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    double.set_cancel_at_period_end(subscription)
    event = double.events[-1]
    event["data"]["object"]["cancel_at"] = None
    [found] = parsed_events(events, event)
    assert isinstance(found, SubscriptionUpdated)
    assert found.cancel_at == found.renews_at
    event["data"]["object"]["cancel_at_period_end"] = False
    [found] = parsed_events(events, event)
    assert isinstance(found, SubscriptionUpdated)
    assert found.cancel_at is None


@pytest.mark.parametrize(
    ("changes", "paid"),
    [
        ({"amount_paid": 0}, None),
        ({"amount_paid_off_stripe": 500}, None),
        ({"amount_paid_off_stripe": 200}, 300),
        # Older API versions have only this.
        ({"paid_out_of_band": True}, None),
        ({"paid_out_of_band": False}, 500),
    ],
    ids=str,
)
def test_only_money_that_stripe_received_is_a_payment(
    gateway: StripeGateway,
    double: FakeStripe,
    events: StripeEvents,
    latest_event: LatestEvent,
    changes: StripeJson,
    paid: int | None,
) -> None:
    subscribe(gateway, double, 500)
    event = latest_event("invoice.paid")
    event["data"]["object"].update(changes)
    (parsed,) = parsed_events(events, event)
    if paid is None:
        assert isinstance(parsed, InvoiceSettled)
        assert parsed.invoice == event["data"]["object"]["id"]
    else:
        assert isinstance(parsed, PaymentSucceeded)
        assert parsed.money == Money(paid, "USD")


def test_only_charge_and_refund_events_of_a_year_need_lookups(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents
) -> None:
    checkout = gateway.create_checkout(checkout_params(frequency=checkout_params().frequency.MONTHLY, amount=500))
    one_year_subscription(double, session=checkout.reference)
    handled = [event for event in double.events if event["type"] in EVENT_PARSERS]
    assert {event["type"] for event in handled} >= {"invoice.paid", "invoice.payment_failed", "charge.refunded"}
    for event in handled:
        calls = double.faults.calls.total()
        parsed = parsed_events(events, event)
        assert parsed or event["type"] == "payment_intent.payment_failed"
        looked_up = double.faults.calls.total() - calls
        assert looked_up == 0 or event["type"].startswith(("charge.", "refund.")), event["type"]
