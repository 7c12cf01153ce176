"""Checkout: one Checkout Session per pledge, with the pledge id in the metadata of every Stripe object."""

import uuid

import pytest

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports import GatewayRejected
from service.gateways.stripe import StripeGateway
from service.gateways.stripe.checkout import session_params, stripe_locale
from tests.gateways.stripe.factories import INSTALLATION_ID, PLEDGE_ID, checkout_params, pay_once
from tests.stripe_double import FakeStripe

OUR_METADATA = {
    "mainstay_pledge_id": str(PLEDGE_ID),
    "mainstay_installation_id": str(INSTALLATION_ID),
}
SESSIONS = "POST /v1/checkout/sessions"


def test_one_time_checkout_sets_pledge_metadata_on_every_object(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    session = pay_once(gateway, double)
    assert (session["mode"], session["amount_total"], session["currency"]) == ("payment", 1250, "usd")
    assert session["client_reference_id"] == str(PLEDGE_ID)
    assert session["metadata"] == OUR_METADATA
    assert double.get(session["payment_intent"])["metadata"] == OUR_METADATA
    assert (session["success_url"], session["cancel_url"]) == (
        checkout_params().success_url,
        checkout_params().cancel_url,
    )
    assert session["submit_type"] == "donate"


@pytest.mark.parametrize(("frequency", "interval"), [(Frequency.MONTHLY, "month"), (Frequency.ANNUAL, "year")])
def test_recurring_checkout_creates_subscription_with_pledge_metadata(
    gateway: StripeGateway, double: FakeStripe, frequency: Frequency, interval: str
) -> None:
    checkout = gateway.create_checkout(checkout_params(frequency, 500))
    double.pay(checkout.reference)
    session = double.get(checkout.reference)
    assert session["mode"] == "subscription"
    subscription = double.get(session["subscription"])
    assert subscription["metadata"] == OUR_METADATA
    price = subscription["items"]["data"][0]["price"]
    assert (price["unit_amount"], price["currency"]) == (500, "usd")
    assert (price["recurring"]["interval"], price["recurring"]["interval_count"]) == (interval, 1)


def test_checkout_page_collects_no_address_or_phone(gateway: StripeGateway, double: FakeStripe) -> None:
    checkout = gateway.create_checkout(checkout_params())
    assert checkout.url.startswith(double.url)
    assert checkout.reference.startswith("cs_test_")
    params = session_params(checkout_params())
    assert not {"billing_address_collection", "shipping_address_collection", "phone_number_collection"} & set(
        params
    )
    assert not {"customer_email", "customer"} & set(params)
    assert params["adaptive_pricing"] == {"enabled": False}


def test_create_checkout_is_idempotent(gateway: StripeGateway, double: FakeStripe) -> None:
    first, second = gateway.create_checkout(checkout_params()), gateway.create_checkout(checkout_params())
    assert first == second
    assert len(double.account.all("checkout.session")) == 1


@pytest.mark.parametrize("change", [{"pledge_id": uuid.uuid4()}, {"campaign_name": "Renamed"}, {"lang": "ru"}])
def test_changed_parameters_create_another_checkout_without_key_conflict(
    gateway: StripeGateway, double: FakeStripe, change: dict
) -> None:
    first = gateway.create_checkout(checkout_params())
    assert gateway.create_checkout(checkout_params(**change)) != first
    assert gateway.create_checkout(checkout_params()) == first


@pytest.mark.parametrize(
    ("amount", "currency", "stripe_amount"),
    [(500, "JPY", 500), (1500, "KWD", 1500), (5, "ISK", 500), (17500, "HUF", 17500)],
)
def test_checkout_amount_uses_stripe_units(
    gateway: StripeGateway, double: FakeStripe, amount: int, currency: str, stripe_amount: int
) -> None:
    checkout = gateway.create_checkout(checkout_params(amount=amount, currency=currency))
    session = double.get(checkout.reference)
    assert (session["amount_total"], session["currency"]) == (stripe_amount, currency.lower())


def test_unchargeable_amount_is_rejected_without_calling_stripe(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    with pytest.raises(GatewayRejected, match="no such amount in KWD"):
        gateway.create_checkout(checkout_params(amount=1501, currency="KWD"))
    assert double.faults.calls[SESSIONS] == 0


def test_amount_below_minimum_is_rejected_with_stripe_message(gateway: StripeGateway) -> None:
    with pytest.raises(GatewayRejected, match="at least 50 usd"):
        gateway.create_checkout(checkout_params(amount=49))


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("en", "en"),
        ("ru", "ru"),
        ("ru-RU", "ru"),
        ("pt-BR", "pt-BR"),
        ("pt_br", "pt-BR"),
        ("zh-Hant-TW", "zh"),
        ("tlh", "auto"),
        ("", "auto"),
    ],
)
def test_stripe_locale_is_closest_supported_language(tag: str, locale: str) -> None:
    assert stripe_locale(tag) == locale


def test_replayed_server_error_is_retried_with_another_key(gateway: StripeGateway, double: FakeStripe) -> None:
    # The first attempt fails after Stripe created the session; the library's retry gets a replay of the error.
    double.faults.respond(500, SESSIONS, after_effect=True)
    checkout = gateway.create_checkout(checkout_params())
    assert checkout.url.startswith(double.url)
    assert gateway.create_checkout(checkout_params()) == checkout


def test_long_campaign_name_is_truncated(gateway: StripeGateway, double: FakeStripe) -> None:
    checkout = gateway.create_checkout(checkout_params(campaign_name="Ж" * 400, money=Money(500, "EUR")))
    assert double.get(checkout.reference)["amount_total"] == 500
