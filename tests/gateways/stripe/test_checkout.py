"""Going to pay: one Checkout Session for each order, which bears the pledge wherever Stripe keeps it."""

import uuid

import pytest

from schemas.enums import Frequency
from service.domain.money import Money
from service.domain.ports import GatewayRejected
from service.gateways.stripe import StripeGateway
from service.gateways.stripe.checkout import session_params, stripe_locale
from tests.gateways.stripe.factories import PLEDGE_ID, checkout_params, give
from tests.stripe_double import FakeStripe

SESSIONS = "POST /v1/checkout/sessions"


def test_a_one_time_checkout_bears_the_pledge_everywhere(gateway: StripeGateway, double: FakeStripe) -> None:
    session = give(gateway, double)
    assert (session["mode"], session["amount_total"], session["currency"]) == ("payment", 1250, "usd")
    assert session["client_reference_id"] == str(PLEDGE_ID)
    assert session["metadata"] == {"pledge_id": str(PLEDGE_ID)}
    assert double.get(session["payment_intent"])["metadata"] == {"pledge_id": str(PLEDGE_ID)}
    assert (session["success_url"], session["cancel_url"]) == (
        checkout_params().success_url,
        checkout_params().cancel_url,
    )
    assert session["submit_type"] == "donate"


@pytest.mark.parametrize(("frequency", "interval"), [(Frequency.MONTHLY, "month"), (Frequency.ANNUAL, "year")])
def test_a_recurring_checkout_becomes_a_subscription_that_bears_the_pledge(
    gateway: StripeGateway, double: FakeStripe, frequency: Frequency, interval: str
) -> None:
    opened = gateway.create_checkout(checkout_params(frequency, 500))
    double.pay(opened.reference)
    session = double.get(opened.reference)
    assert session["mode"] == "subscription"
    subscription = double.get(session["subscription"])
    assert subscription["metadata"] == {"pledge_id": str(PLEDGE_ID)}
    price = subscription["items"]["data"][0]["price"]
    assert (price["unit_amount"], price["currency"]) == (500, "usd")
    assert (price["recurring"]["interval"], price["recurring"]["interval_count"]) == (interval, 1)


def test_the_page_is_stripes_and_the_reader_is_asked_for_no_address(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    opened = gateway.create_checkout(checkout_params())
    assert opened.url.startswith(double.url)
    assert opened.reference.startswith("cs_test_")
    asked = session_params(checkout_params())
    assert not {"billing_address_collection", "shipping_address_collection", "phone_number_collection"} & set(
        asked
    )
    assert not {"customer_email", "customer", "customer_creation"} & set(asked)
    assert asked["adaptive_pricing"] == {"enabled": False}


def test_the_same_order_again_yields_the_same_checkout(gateway: StripeGateway, double: FakeStripe) -> None:
    first, second = gateway.create_checkout(checkout_params()), gateway.create_checkout(checkout_params())
    assert first == second
    assert len(double.account.all("checkout.session")) == 1


@pytest.mark.parametrize("change", [{"pledge_id": uuid.uuid4()}, {"campaign_name": "Renamed"}, {"lang": "ru"}])
def test_another_order_yields_another_checkout_and_never_a_conflict(
    gateway: StripeGateway, double: FakeStripe, change: dict
) -> None:
    first = gateway.create_checkout(checkout_params())
    assert gateway.create_checkout(checkout_params(**change)) != first
    assert gateway.create_checkout(checkout_params()) == first


@pytest.mark.parametrize(
    ("amount", "currency", "there"),
    [(500, "JPY", 500), (1500, "KWD", 1500), (5, "ISK", 500), (17500, "HUF", 17500)],
)
def test_currencies_of_all_sorts_are_charged_as_stripe_counts(
    gateway: StripeGateway, double: FakeStripe, amount: int, currency: str, there: int
) -> None:
    opened = gateway.create_checkout(checkout_params(amount=amount, currency=currency))
    session = double.get(opened.reference)
    assert (session["amount_total"], session["currency"]) == (there, currency.lower())


def test_an_amount_that_stripe_cannot_charge_is_refused_before_it_is_asked(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    with pytest.raises(GatewayRejected, match="no such amount in KWD"):
        gateway.create_checkout(checkout_params(amount=1501, currency="KWD"))
    assert double.faults.calls[SESSIONS] == 0


def test_an_amount_that_is_too_small_for_stripe_is_refused_in_its_words(gateway: StripeGateway) -> None:
    with pytest.raises(GatewayRejected, match="at least 50 usd"):
        gateway.create_checkout(checkout_params(amount=49))


@pytest.mark.parametrize(
    ("tag", "spoken"),
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
def test_the_page_speaks_the_readers_language_where_stripe_does(tag: str, spoken: str) -> None:
    assert stripe_locale(tag) == spoken


def test_a_fault_that_stripe_keeps_under_a_key_does_not_lock_the_pledge_out(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    # The first try fails after Stripe began; the library's own second try hears the same again.
    double.faults.respond(500, SESSIONS, after_effect=True)
    opened = gateway.create_checkout(checkout_params())
    assert opened.url.startswith(double.url)
    assert gateway.create_checkout(checkout_params()) == opened


def test_names_as_long_as_a_campaign_may_have_are_cut(gateway: StripeGateway, double: FakeStripe) -> None:
    opened = gateway.create_checkout(checkout_params(campaign_name="Ж" * 400, money=Money(500, "EUR")))
    assert double.get(opened.reference)["amount_total"] == 500
