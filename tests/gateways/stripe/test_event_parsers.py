"""Each event as Stripe writes it today, and what it says in the domain's words."""

import datetime
from collections.abc import Callable

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports.payment_events import (
    CheckoutCompleted,
    CheckoutExpired,
    PaymentFailed,
    PaymentSucceeded,
    RenewalUpcoming,
    SubscriptionUpdated,
)
from service.gateways.stripe import StripeEvents, StripeGateway
from service.gateways.stripe.event_parsers import EVENT_PARSERS
from tests.clock import FakeClock
from tests.gateways.stripe.factories import EMAIL, PLEDGE_ID, checkout_params, give, parsed_events, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import one_year_subscription

Lasts = Callable[[str], StripeJson]
DONE = "checkout.session.completed"


def test_a_paid_one_time_checkout_is_done_and_paid_by_its_intent(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, clock: FakeClock
) -> None:
    session = give(gateway, double)
    assert parsed_events(events, lasts(DONE)) == [
        CheckoutCompleted(pledge_id=PLEDGE_ID, occurred_at=clock(), email=EMAIL),
        PaymentSucceeded(
            reference=session["payment_intent"], money=Money(1250, "USD"), occurred_at=clock(), pledge_id=PLEDGE_ID
        ),
    ]


def test_a_paid_subscription_checkout_is_done_and_paid_by_its_invoice(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, clock: FakeClock
) -> None:
    session = subscribe(gateway, double, 500)
    names = {"subscription": session["subscription"], "customer": session["customer"]}
    done, paid = parsed_events(events, lasts(DONE))
    assert done == CheckoutCompleted(pledge_id=PLEDGE_ID, occurred_at=clock(), email=EMAIL, **names)
    assert paid == PaymentSucceeded(
        reference=session["invoice"], money=Money(500, "USD"), occurred_at=clock(), pledge_id=PLEDGE_ID, **names
    )
    (again,) = parsed_events(events, lasts("invoice.paid"))
    assert isinstance(again, PaymentSucceeded)
    assert (again.reference, again.money, again.occurred_at) == (paid.reference, paid.money, paid.occurred_at)
    # From 23 November to 23 December.
    assert again.renews_at == clock() + datetime.timedelta(days=30)


def test_a_readers_address_stands_in_no_representation(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    give(gateway, double)
    assert EMAIL not in repr(parsed_events(events, lasts(DONE)))


def test_money_that_takes_days_is_done_first_and_paid_later(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    name = gateway.create_checkout(checkout_params()).reference
    double.pay_by_bank_debit(name)
    assert [type(one) for one in parsed_events(events, lasts(DONE))] == [CheckoutCompleted]
    double.settle_bank_debit(name)
    done, paid = parsed_events(events, lasts("checkout.session.async_payment_succeeded"))
    assert isinstance(done, CheckoutCompleted)
    assert isinstance(paid, PaymentSucceeded)
    assert paid.reference == double.get(name)["payment_intent"]


def test_money_that_a_bank_refuses_closes_a_one_time_checkout(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    name = gateway.create_checkout(checkout_params()).reference
    double.pay_by_bank_debit(name)
    double.fail_bank_debit(name)
    news = parsed_events(events, lasts("checkout.session.async_payment_failed"))
    assert [type(one) for one in news] == [CheckoutCompleted, CheckoutExpired]
    (tried,) = parsed_events(events, lasts("payment_intent.payment_failed"))
    assert isinstance(tried, PaymentFailed)
    assert tried.reference == double.charge_of(name)["id"]


def test_money_that_a_bank_refuses_leaves_a_subscription_to_its_bills(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    name = gateway.create_checkout(checkout_params(Frequency.MONTHLY, 500)).reference
    double.pay_by_bank_debit(name)
    double.fail_bank_debit(name)
    news = parsed_events(events, lasts("checkout.session.async_payment_failed"))
    assert [type(one) for one in news] == [CheckoutCompleted]
    assert [type(one) for one in parsed_events(events, lasts("invoice.payment_failed"))] == [PaymentFailed]
    # The intent of a bill bears no pledge: its invoice has told of the same try.
    assert parsed_events(events, lasts("payment_intent.payment_failed")) == []


def test_a_checkout_that_nobody_paid_is_closed(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, clock: FakeClock
) -> None:
    double.abandon(gateway.create_checkout(checkout_params()).reference)
    assert parsed_events(events, lasts("checkout.session.expired")) == [
        CheckoutExpired(pledge_id=PLEDGE_ID, occurred_at=clock())
    ]


def test_a_declined_card_is_a_try_named_by_its_charge(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, clock: FakeClock
) -> None:
    name = gateway.create_checkout(checkout_params()).reference
    double.decline(name)
    double.decline(name)
    tries = [event for event in double.events if event["type"] == "payment_intent.payment_failed"]
    first, second = (parsed_events(events, event)[0] for event in tries)
    assert isinstance(first, PaymentFailed)
    assert isinstance(second, PaymentFailed)
    assert first.reference != second.reference
    assert (first.invoice, first.money, first.occurred_at) == (second.invoice, Money(1250, "USD"), clock())
    assert (first.attempt, first.next_attempt_at, first.pledge_id) == (1, None, PLEDGE_ID)


def test_a_renewal_is_announced_for_when_the_paid_time_ends(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    name = subscribe(gateway, double)["subscription"]
    (paid,) = parsed_events(events, lasts("invoice.paid"))
    assert isinstance(paid, PaymentSucceeded)
    double.emit_upcoming(name)
    assert parsed_events(events, lasts("invoice.upcoming")) == [
        RenewalUpcoming(subscription=name, renews_at=paid.renews_at, pledge_id=PLEDGE_ID)
    ]


def test_a_missed_payment_says_which_try_it_was_and_when_the_next_is(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, clock: FakeClock
) -> None:
    name = subscribe(gateway, double)["subscription"]
    double.fail_renewal(name)
    (missed,) = parsed_events(events, lasts("invoice.payment_failed"))
    bill = double.get(name)["latest_invoice"]
    assert missed == PaymentFailed(
        reference=f"{bill}#1",
        invoice=bill,
        money=Money(500, "USD"),
        occurred_at=clock(),
        attempt=1,
        next_attempt_at=clock() + datetime.timedelta(days=3),
        pledge_id=PLEDGE_ID,
        subscription=name,
    )
    (standing,) = parsed_events(events, lasts("customer.subscription.updated"))
    assert isinstance(standing, SubscriptionUpdated)
    assert (standing.is_past_due, standing.is_started, standing.ended) == (True, True, False)
    double.fail_retry(name)
    (again,) = parsed_events(events, lasts("invoice.payment_failed"))
    assert isinstance(again, PaymentFailed)
    assert (again.reference, again.attempt) == (f"{bill}#2", 2)
    double.exhaust_retries(name)
    (last,) = parsed_events(events, lasts("invoice.payment_failed"))
    assert isinstance(last, PaymentFailed)
    assert last.next_attempt_at is None
    (ended,) = parsed_events(events, lasts("customer.subscription.deleted"))
    assert isinstance(ended, SubscriptionUpdated)
    assert (ended.ended, ended.is_past_due, ended.renews_at) == (True, False, None)


def test_a_changed_amount_is_told_with_the_time_that_it_comes(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts, clock: FakeClock
) -> None:
    session = subscribe(gateway, double)
    gateway.update_subscription_amount(session["subscription"], Money(900, "USD"), pledge_id=PLEDGE_ID)
    (standing,) = parsed_events(events, lasts("customer.subscription.updated"))
    assert standing == SubscriptionUpdated(
        subscription=session["subscription"],
        occurred_at=clock(),
        is_started=True,
        money=Money(900, "USD"),
        renews_at=clock() + datetime.timedelta(days=30),
        pledge_id=PLEDGE_ID,
        customer=session["customer"],
    )


def test_a_bill_of_nothing_is_no_payment(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents, lasts: Lasts
) -> None:
    subscribe(gateway, double)
    event = lasts("invoice.paid")
    event["data"]["object"]["amount_paid"] = 0
    assert parsed_events(events, event) == []


def test_a_year_can_be_read_without_a_look_up_but_for_what_went_back(
    gateway: StripeGateway, double: FakeStripe, events: StripeEvents
) -> None:
    opened = gateway.create_checkout(checkout_params(frequency=checkout_params().frequency.MONTHLY, amount=500))
    one_year_subscription(double, session=opened.reference)
    handled = [event for event in double.events if event["type"] in EVENT_PARSERS]
    assert {event["type"] for event in handled} >= {"invoice.paid", "invoice.payment_failed", "charge.refunded"}
    for event in handled:
        calls = double.faults.calls.total()
        news = parsed_events(events, event)
        assert news or event["type"] == "payment_intent.payment_failed"
        looked_up = double.faults.calls.total() - calls
        assert looked_up == 0 or event["type"].startswith("charge."), event["type"]
