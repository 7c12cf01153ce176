"""What Stripe is told to do with what it takes: end, take another amount, change the card, give back."""

import uuid

import pytest

from service.domain.money import Money
from service.domain.ports import GatewayRejected, GatewayUnavailable
from service.gateways.stripe import StripeGateway
from tests.gateways.stripe.factories import PAGE, PLEDGE_ID, REFUND_ID, give, refund_order, subscribe
from tests.stripe_double import FakeStripe


def test_a_cancelled_subscription_takes_no_more(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double)["subscription"]
    gateway.cancel_subscription(name)
    assert double.get(name)["status"] == "canceled"


def test_cancelling_again_changes_nothing(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double)["subscription"]
    gateway.cancel_subscription(name)
    event = len(double.events)
    gateway.cancel_subscription(name)
    assert len(double.events) == event


def test_a_subscription_that_stripe_does_not_know_is_not_said_to_have_ended(gateway: StripeGateway) -> None:
    with pytest.raises(GatewayRejected, match="resource_missing"):
        gateway.cancel_subscription("sub_1Unknown")


def test_an_end_whose_answer_was_lost_is_found_done(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double)["subscription"]
    double.faults.reset("DELETE /v1/subscriptions/{id}", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.cancel_subscription(name)
    gateway.cancel_subscription(name)
    assert double.get(name)["status"] == "canceled"


def test_another_amount_is_taken_from_the_next_time_on(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double, amount=500)["subscription"]
    charges = len(double.account.all("charge"))
    gateway.update_subscription_amount(name, Money(900, "USD"), pledge_id=PLEDGE_ID)
    assert len(double.account.all("charge")) == charges
    (item,) = double.get(name)["items"]["data"]
    assert (item["price"]["unit_amount"], item["price"]["recurring"]["interval"]) == (900, "month")
    assert double.renew(name)["amount"] == 900


def test_there_and_back_and_there_again_is_what_is_taken(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double, amount=500)["subscription"]
    for amount in (900, 500, 900, 500, 900):
        gateway.update_subscription_amount(name, Money(amount, "USD"), pledge_id=PLEDGE_ID)
        assert double.get(name)["items"]["data"][0]["price"]["unit_amount"] == amount


def test_the_same_amount_again_is_no_order(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double, amount=500)["subscription"]
    gateway.update_subscription_amount(name, Money(900, "USD"), pledge_id=PLEDGE_ID)
    calls = double.faults.calls["POST /v1/subscriptions/{id}"]
    gateway.update_subscription_amount(name, Money(900, "USD"), pledge_id=PLEDGE_ID)
    assert double.faults.calls["POST /v1/subscriptions/{id}"] == calls == 1


@pytest.mark.usefixtures("in_a_hurry")
def test_a_change_whose_answer_was_lost_is_made_once(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double, amount=500)["subscription"]
    double.faults.time_out("POST /v1/subscriptions/{id}", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.update_subscription_amount(name, Money(900, "USD"), pledge_id=PLEDGE_ID)
    gateway.update_subscription_amount(name, Money(900, "USD"), pledge_id=PLEDGE_ID)
    assert double.faults.calls["POST /v1/subscriptions/{id}"] == 1


@pytest.mark.parametrize("money", [Money(900, "EUR"), Money(901, "KWD")])
def test_a_subscription_keeps_its_currency(gateway: StripeGateway, double: FakeStripe, money: Money) -> None:
    name = subscribe(gateway, double)["subscription"]
    with pytest.raises(GatewayRejected):
        gateway.update_subscription_amount(name, money, pledge_id=PLEDGE_ID)


def test_one_that_has_ended_takes_no_other_amount(gateway: StripeGateway, double: FakeStripe) -> None:
    name = subscribe(gateway, double)["subscription"]
    double.cancel_now(name)
    with pytest.raises(GatewayRejected, match="has ended"):
        gateway.update_subscription_amount(name, Money(900, "USD"), pledge_id=PLEDGE_ID)


def test_the_card_is_changed_on_stripes_own_page(gateway: StripeGateway, double: FakeStripe) -> None:
    made = subscribe(gateway, double)
    customer, subscription = made["customer"], made["subscription"]
    page = gateway.create_payment_method_session(customer, subscription, back_url=f"{PAGE}/me", lang="ru-RU")
    assert page.startswith(double.url)
    (opened,) = double.account.all("billing_portal.session")
    assert (opened["flow"]["type"], opened["locale"]) == ("payment_method_update", "ru")
    assert opened["return_url"] == f"{PAGE}/me"
    # Such a page is good for some minutes: asked again, another is opened.
    assert gateway.create_payment_method_session(customer, subscription, back_url=f"{PAGE}/me", lang="ru") != page


def test_the_card_that_is_saved_there_is_the_one_that_is_charged(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    made = subscribe(gateway, double)
    first = double.get(made["subscription"])["default_payment_method"]
    gateway.create_payment_method_session(made["customer"], made["subscription"], back_url=PAGE, lang="en")
    double.renew(made["subscription"])
    assert double.account.all("charge")[-1]["payment_method"] == first
    card = double.update_card(made["customer"])
    double.renew(made["subscription"])
    assert double.account.all("charge")[-1]["payment_method"] == card["id"] != first


@pytest.mark.parametrize("call", ["POST /v1/customers/{id}", "POST /v1/subscriptions/{id}"])
def test_a_card_page_that_could_not_be_opened_leaves_a_card_to_charge(
    gateway: StripeGateway, double: FakeStripe, call: str
) -> None:
    made = subscribe(gateway, double)
    double.faults.respond(500, call)
    with pytest.raises(GatewayUnavailable):
        gateway.create_payment_method_session(made["customer"], made["subscription"], back_url=PAGE, lang="en")
    assert double.renew(made["subscription"])["amount"]


def test_a_card_of_nobody_is_refused(gateway: StripeGateway) -> None:
    with pytest.raises(GatewayRejected):
        gateway.create_payment_method_session("cus_unknown", "sub_unknown", back_url=PAGE, lang="en")


def test_money_of_a_one_time_pledge_goes_back_once(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = give(gateway, double, 1250)["payment_intent"]
    first = gateway.create_refund(refund_order(intent, 400))
    assert gateway.create_refund(refund_order(intent, 400)) == first
    made = double.get(first)
    assert (made["amount"], made["metadata"]) == (400, {"refund_id": str(REFUND_ID)})
    assert len(double.account.all("refund")) == 1


def test_money_of_a_recurring_pledge_goes_back_by_its_bill(gateway: StripeGateway, double: FakeStripe) -> None:
    session = subscribe(gateway, double, 500)
    made = double.get(gateway.create_refund(refund_order(session["invoice"], 500)))
    assert made["amount"] == 500
    assert double.get(made["charge"])["refunded"]


@pytest.mark.usefixtures("in_a_hurry")
def test_a_refund_whose_answer_was_lost_is_made_once(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = give(gateway, double, 1250)["payment_intent"]
    double.faults.time_out("POST /v1/refunds", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.create_refund(refund_order(intent, 400))
    gateway.create_refund(refund_order(intent, 400))
    assert [one["amount"] for one in double.account.all("refund")] == [400]


def test_a_refund_that_stripe_made_and_calls_a_fault_is_found_and_not_made_twice(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    intent = give(gateway, double, 1250)["payment_intent"]
    double.faults.respond(500, "POST /v1/refunds", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.create_refund(refund_order(intent, 400))
    # Under the same key Stripe repeats the fault; the refund is there all the same.
    name = gateway.create_refund(refund_order(intent, 400))
    assert [one["id"] for one in double.account.all("refund")] == [name]


def test_a_refund_that_was_made_days_ago_is_not_made_again(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = give(gateway, double, 1250)["payment_intent"]
    first = gateway.create_refund(refund_order(intent, 400))
    double.advance(days=3)
    assert gateway.create_refund(refund_order(intent, 400)) == first
    other = uuid.UUID("01936f00-0000-7000-8000-0000000000ab")
    assert gateway.create_refund(refund_order(intent, 400, other)) != first


def test_more_than_was_paid_is_refused(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = give(gateway, double, 1250)["payment_intent"]
    with pytest.raises(GatewayRejected):
        gateway.create_refund(refund_order(intent, 1251))


def test_what_went_back_already_is_refused_in_stripes_words(gateway: StripeGateway, double: FakeStripe) -> None:
    session = give(gateway, double, 1250)
    double.refund(double.charge_of(session["id"])["id"])
    with pytest.raises(GatewayRejected, match="already been refunded"):
        gateway.create_refund(refund_order(session["payment_intent"], 100))


@pytest.mark.parametrize("reference", ["in_1Unknown", "pi_3Unknown"])
def test_a_payment_that_stripe_does_not_know_gives_nothing_back(gateway: StripeGateway, reference: str) -> None:
    with pytest.raises(GatewayRejected):
        gateway.create_refund(refund_order(reference, 100))
