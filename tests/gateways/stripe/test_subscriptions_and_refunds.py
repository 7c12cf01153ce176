"""Subscriptions and refunds: cancel, change the amount or the card, refund; each at most once."""

import uuid

import pytest

from service.domain.money import Money
from service.domain.ports import GatewayRejected, GatewayUnavailable
from service.gateways.stripe import StripeGateway
from tests.gateways.stripe.factories import PAGE, PLEDGE_ID, REFUND_ID, pay_once, refund_params, subscribe
from tests.stripe_double import FakeStripe


def test_cancel_subscription_cancels_immediately(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    gateway.cancel_subscription(subscription)
    assert double.get(subscription)["status"] == "canceled"


def test_cancel_subscription_is_idempotent(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    gateway.cancel_subscription(subscription)
    event_count = len(double.events)
    gateway.cancel_subscription(subscription)
    assert len(double.events) == event_count


def test_cancel_unknown_subscription_is_rejected(gateway: StripeGateway) -> None:
    with pytest.raises(GatewayRejected, match="resource_missing"):
        gateway.cancel_subscription("sub_1Unknown")


def test_cancel_succeeds_after_lost_response(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    double.faults.reset("DELETE /v1/subscriptions/{id}", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.cancel_subscription(subscription)
    gateway.cancel_subscription(subscription)
    assert double.get(subscription)["status"] == "canceled"


def test_amount_change_applies_from_next_renewal(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double, amount=500)["subscription"]
    charges = len(double.account.all("charge"))
    gateway.update_subscription_amount(subscription, Money(900, "USD"), pledge_id=PLEDGE_ID)
    assert len(double.account.all("charge")) == charges
    (item,) = double.get(subscription)["items"]["data"]
    assert (item["price"]["unit_amount"], item["price"]["recurring"]["interval"]) == (900, "month")
    assert double.renew(subscription)["amount"] == 900


def test_amount_can_change_back_and_forth(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double, amount=500)["subscription"]
    for amount in (900, 500, 900, 500, 900):
        gateway.update_subscription_amount(subscription, Money(amount, "USD"), pledge_id=PLEDGE_ID)
        assert double.get(subscription)["items"]["data"][0]["price"]["unit_amount"] == amount


def test_unchanged_amount_makes_no_update_call(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double, amount=500)["subscription"]
    gateway.update_subscription_amount(subscription, Money(900, "USD"), pledge_id=PLEDGE_ID)
    calls = double.faults.calls["POST /v1/subscriptions/{id}"]
    gateway.update_subscription_amount(subscription, Money(900, "USD"), pledge_id=PLEDGE_ID)
    assert double.faults.calls["POST /v1/subscriptions/{id}"] == calls == 1


@pytest.mark.usefixtures("short_timeout")
def test_amount_change_is_made_once_after_lost_response(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double, amount=500)["subscription"]
    double.faults.time_out("POST /v1/subscriptions/{id}", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.update_subscription_amount(subscription, Money(900, "USD"), pledge_id=PLEDGE_ID)
    gateway.update_subscription_amount(subscription, Money(900, "USD"), pledge_id=PLEDGE_ID)
    assert double.faults.calls["POST /v1/subscriptions/{id}"] == 1


@pytest.mark.parametrize("money", [Money(900, "EUR"), Money(901, "KWD")])
def test_currency_change_is_rejected(gateway: StripeGateway, double: FakeStripe, money: Money) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    with pytest.raises(GatewayRejected):
        gateway.update_subscription_amount(subscription, money, pledge_id=PLEDGE_ID)


def test_amount_change_of_ended_subscription_is_rejected(gateway: StripeGateway, double: FakeStripe) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    double.cancel_now(subscription)
    with pytest.raises(GatewayRejected, match="has ended"):
        gateway.update_subscription_amount(subscription, Money(900, "USD"), pledge_id=PLEDGE_ID)


def test_payment_method_session_opens_billing_portal(gateway: StripeGateway, double: FakeStripe) -> None:
    session = subscribe(gateway, double)
    customer, subscription = session["customer"], session["subscription"]
    page = gateway.create_payment_method_session(customer, [subscription], return_url=f"{PAGE}/me", lang="ru-RU")
    assert page.startswith(double.url)
    (opened,) = double.account.all("billing_portal.session")
    assert (opened["flow"]["type"], opened["locale"]) == ("payment_method_update", "ru")
    assert opened["return_url"] == f"{PAGE}/me"
    # A portal session expires after some minutes, so a second call creates another.
    assert (
        gateway.create_payment_method_session(customer, [subscription], return_url=f"{PAGE}/me", lang="ru") != page
    )


def test_card_from_portal_is_charged_on_renewal(gateway: StripeGateway, double: FakeStripe) -> None:
    session = subscribe(gateway, double)
    first = double.get(session["subscription"])["default_payment_method"]
    gateway.create_payment_method_session(
        session["customer"], [session["subscription"]], return_url=PAGE, lang="en"
    )
    double.renew(session["subscription"])
    assert double.account.all("charge")[-1]["payment_method"] == first
    card = double.update_card(session["customer"])
    double.renew(session["subscription"])
    assert double.account.all("charge")[-1]["payment_method"] == card["id"] != first


@pytest.mark.parametrize("call", ["POST /v1/customers/{id}", "POST /v1/subscriptions/{id}"])
def test_failed_portal_session_leaves_a_chargeable_card(
    gateway: StripeGateway, double: FakeStripe, call: str
) -> None:
    session = subscribe(gateway, double)
    double.faults.respond(500, call)
    with pytest.raises(GatewayUnavailable):
        gateway.create_payment_method_session(
            session["customer"], [session["subscription"]], return_url=PAGE, lang="en"
        )
    assert double.renew(session["subscription"])["amount"]


def test_portal_session_of_unknown_customer_is_rejected(gateway: StripeGateway) -> None:
    with pytest.raises(GatewayRejected):
        gateway.create_payment_method_session("cus_unknown", ["sub_unknown"], return_url=PAGE, lang="en")


def test_refund_of_one_time_payment_is_idempotent(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = pay_once(gateway, double, 1250)["payment_intent"]
    first = gateway.create_refund(refund_params(intent, 400)).refund
    assert gateway.create_refund(refund_params(intent, 400)).refund == first
    refund = double.get(first)
    assert (refund["amount"], refund["metadata"]) == (400, {"refund_id": str(REFUND_ID)})
    assert len(double.account.all("refund")) == 1


def test_refund_of_recurring_payment_uses_its_invoice(gateway: StripeGateway, double: FakeStripe) -> None:
    session = subscribe(gateway, double, 500)
    refund = double.get(gateway.create_refund(refund_params(session["invoice"], 500)).refund)
    assert refund["amount"] == 500
    assert double.get(refund["charge"])["refunded"]


@pytest.mark.usefixtures("short_timeout")
def test_refund_is_made_once_after_lost_response(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = pay_once(gateway, double, 1250)["payment_intent"]
    double.faults.time_out("POST /v1/refunds", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.create_refund(refund_params(intent, 400))
    gateway.create_refund(refund_params(intent, 400))
    assert [refund["amount"] for refund in double.account.all("refund")] == [400]


def test_refund_with_replayed_server_error_is_found_by_metadata(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    intent = pay_once(gateway, double, 1250)["payment_intent"]
    double.faults.respond(500, "POST /v1/refunds", after_effect=True)
    with pytest.raises(GatewayUnavailable):
        gateway.create_refund(refund_params(intent, 400))
    # With the same key Stripe replays the error, although the refund exists.
    reference = gateway.create_refund(refund_params(intent, 400)).refund
    assert [refund["id"] for refund in double.account.all("refund")] == [reference]


def test_refund_is_idempotent_after_key_expires(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = pay_once(gateway, double, 1250)["payment_intent"]
    first = gateway.create_refund(refund_params(intent, 400)).refund
    double.advance(days=3)
    assert gateway.create_refund(refund_params(intent, 400)).refund == first
    other = uuid.UUID("01936f00-0000-7000-8000-0000000000ab")
    assert gateway.create_refund(refund_params(intent, 400, other)).refund != first


def test_refund_above_payment_is_rejected(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = pay_once(gateway, double, 1250)["payment_intent"]
    with pytest.raises(GatewayRejected):
        gateway.create_refund(refund_params(intent, 1251))


def test_refund_of_refunded_payment_is_rejected_with_stripe_message(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    session = pay_once(gateway, double, 1250)
    double.refund(double.charge_of(session["id"])["id"])
    with pytest.raises(GatewayRejected, match="already been refunded"):
        gateway.create_refund(refund_params(session["payment_intent"], 100))


@pytest.mark.parametrize("reference", ["in_1Unknown", "pi_3Unknown"])
def test_refund_of_unknown_payment_is_rejected(gateway: StripeGateway, reference: str) -> None:
    with pytest.raises(GatewayRejected):
        gateway.create_refund(refund_params(reference, 100))
