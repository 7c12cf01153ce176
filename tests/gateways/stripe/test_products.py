"""The product of a campaign at Stripe: one for all its pledges, with the campaign's name."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from schemas.enums import Frequency
from service.container import Container
from service.db.models.campaign import Campaign
from service.domain.money import Money
from service.domain.ports import GatewayRejected, GatewayUnavailable
from service.gateways.stripe import StripeGateway
from service.gateways.stripe.products import product_id
from service.settings import Settings
from tests.api.client import assert_problem, post_pledge
from tests.conftest import settings_for
from tests.gateways.stripe.factories import CAMPAIGN_ID, PLEDGE_ID, SECRET, checkout_params, subscribe
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.account import StripeJson

PRODUCT = product_id(CAMPAIGN_ID)
CALLS = ("GET /v1/products/{id}", "POST /v1/products", "POST /v1/products/{id}")


@pytest.fixture
def settings(migrated_database: str, double: FakeStripe) -> Settings:
    """Return settings with Stripe as the payment gateway."""
    return settings_for(
        migrated_database,
        GATEWAY="stripe",
        STRIPE_SECRET_KEY=KEY,
        STRIPE_WEBHOOK_SECRET=SECRET,
        STRIPE_API_BASE=double.url,
    )


def product_calls(double: FakeStripe) -> int:
    return sum(double.faults.calls[call] for call in CALLS)


def rename_campaign(container: Container, name: str) -> None:
    with container.database.transaction() as session:
        session.execute(update(Campaign).values(name=name))
    container.campaign_cache._entries.clear()


def products_of_lines(double: FakeStripe) -> list[str]:
    """Return the product of each Checkout Session, in order."""
    return [line["price"]["product"] for item in double.account.all("checkout.session") for line in item["#lines"]]


def test_all_pledges_of_a_campaign_share_one_product(
    client: FlaskClient, container: Container, double: FakeStripe
) -> None:
    for frequency in ("once", "monthly", "annual"):
        assert post_pledge(client, frequency=frequency, amount=5000).status_code == 201
        container.campaign_cache._entries.clear()
    (product,) = double.account.all("product")
    assert products_of_lines(double) == [product["id"]] * 3
    # Only the first pledge asks Stripe for it.
    assert product_calls(double) == 2


def test_product_is_renamed_with_its_campaign(
    client: FlaskClient, container: Container, double: FakeStripe
) -> None:
    post_pledge(client)
    for name in ("The Evening Lantern", "The Harbour Lantern", "Ж" * 400):
        rename_campaign(container, name)
        assert post_pledge(client).status_code == 201
        (product,) = double.account.all("product")
        assert product["name"] == name[:250]


def archive(double: FakeStripe, product: StripeJson) -> None:
    product["active"] = False


def delete(double: FakeStripe, product: StripeJson) -> None:
    double.account.delete(product)


@pytest.mark.parametrize("damage", [archive, delete])
@pytest.mark.parametrize("frequency", ["once", "monthly"])
def test_archived_or_deleted_product_is_restored_by_the_next_pledge(
    client: FlaskClient, double: FakeStripe, damage: Callable[[FakeStripe, StripeJson], None], frequency: str
) -> None:
    post_pledge(client)
    (product,) = double.account.all("product")
    damage(double, product)
    response = post_pledge(client, frequency=frequency, amount=5000)
    assert response.status_code == 201
    (restored,) = double.account.all("product")
    assert (restored["id"], restored["active"]) == (product["id"], True)
    # The session of the second pledge is a new one and not an answer that Stripe stored.
    assert response.json["checkout_url"] == double.account.all("checkout.session")[-1]["url"]


def test_product_that_a_concurrent_request_created_is_used(gateway: StripeGateway, double: FakeStripe) -> None:
    gateway.save_product(CAMPAIGN_ID, "The Meadow Gazette")
    # The other request had not created it yet when this one looked.
    double.faults.respond(404, "GET /v1/products/{id}")
    gateway.save_product(CAMPAIGN_ID, "The Meadow Gazette")
    assert [product["id"] for product in double.account.all("product")] == [PRODUCT]


def test_product_created_without_response_is_not_created_again(gateway: StripeGateway, double: FakeStripe) -> None:
    double.faults.reset("POST /v1/products", after_effect=True, times=2)
    with pytest.raises(GatewayUnavailable):
        gateway.save_product(CAMPAIGN_ID, "The Meadow Gazette")
    gateway.save_product(CAMPAIGN_ID, "The Meadow Gazette")
    assert [product["id"] for product in double.account.all("product")] == [PRODUCT]
    assert gateway.create_checkout(checkout_params()).url


def test_pledge_is_503_while_stripe_cannot_create_its_product(client: FlaskClient, double: FakeStripe) -> None:
    double.faults.respond(503, "POST /v1/products", times=2)
    assert_problem(post_pledge(client), 503, "payments_unavailable")
    assert post_pledge(client).status_code == 201


def test_rejection_for_another_reason_is_not_tried_again(gateway: StripeGateway, double: FakeStripe) -> None:
    gateway.create_checkout(checkout_params())
    calls = double.faults.calls["POST /v1/checkout/sessions"]
    with pytest.raises(GatewayRejected, match="at least 50 usd"):
        gateway.create_checkout(checkout_params(amount=49))
    assert double.faults.calls["POST /v1/checkout/sessions"] == calls + 1


@pytest.mark.parametrize("is_active", [True, False])
def test_new_amount_keeps_the_product(gateway: StripeGateway, double: FakeStripe, is_active: bool) -> None:
    subscription = subscribe(gateway, double, amount=500)["subscription"]
    double.get(PRODUCT)["active"] = is_active
    gateway.update_subscription_amount(subscription, Money(900, "USD"), pledge_id=PLEDGE_ID)
    (item,) = double.get(subscription)["items"]["data"]
    assert (item["price"]["product"], item["price"]["unit_amount"]) == (PRODUCT, 900)
    assert [product["id"] for product in double.account.all("product")] == [PRODUCT]


def test_another_campaign_has_another_product(gateway: StripeGateway, double: FakeStripe) -> None:
    gateway.create_checkout(checkout_params(Frequency.MONTHLY))
    gateway.create_checkout(checkout_params(Frequency.MONTHLY, campaign_id=PLEDGE_ID, pledge_id=CAMPAIGN_ID))
    assert products_of_lines(double) == [PRODUCT, product_id(PLEDGE_ID)]
