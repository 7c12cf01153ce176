"""The way from a form to a page of the gateway whose origin the form's policy may not allow."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.container import Container
from service.domain.ports import Checkout, CheckoutParams
from tests.pages.accounts import page
from tests.pages.html import visible_text
from tests.pages.support_form import get_support_form

DOMAIN = "https://pay.paper.example"
HOSTED = "https://checkout.example"


@pytest.fixture(autouse=True)
def custom_domain(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the gateway's checkouts be on a custom domain."""

    def create_checkout(params: CheckoutParams) -> Checkout:
        return Checkout(reference=f"cs_{params.pledge_id}", url=f"{DOMAIN}/c/pay/cs_1#fid")

    monkeypatch.setattr(container.gateway, "hosted_origins", (HOSTED,))
    monkeypatch.setattr(container.gateway, "create_checkout", create_checkout)


def submit(client: FlaskClient) -> TestResponse:
    """Open the support page and submit its form."""
    return client.post("/support/default", data=get_support_form(client).fields)


def allowed_by_policy(client: FlaskClient) -> list[str]:
    policy = client.get("/support/default").headers["Content-Security-Policy"]
    [directive] = [part for part in policy.split("; ") if part.startswith("form-action ")]
    return directive.split()[2:]


def test_first_checkout_on_a_custom_domain_is_reached_by_a_page(client: FlaskClient) -> None:
    form = get_support_form(client).fields
    assert DOMAIN not in allowed_by_policy(client)
    response = client.post("/support/default", data=form)
    assert response.status_code == 200
    assert response.headers["Refresh"] == f"0; url={DOMAIN}/c/pay/cs_1#fid"
    assert f'href="{DOMAIN}/c/pay/cs_1#fid"' in response.text
    assert "Taking you to the payment page" in visible_text(response.text)
    assert DOMAIN in allowed_by_policy(client)


def test_later_checkouts_redirect_from_pages_that_allow_the_domain(client: FlaskClient) -> None:
    open_page = get_support_form(client).fields
    submit(client)
    assert submit(client).headers["Location"].startswith(DOMAIN)
    # This page was opened before the domain was known.
    assert "Refresh" in client.post("/support/default", data=open_page).headers


def test_another_process_allows_the_domain_within_a_minute(client: FlaskClient, container: Container) -> None:
    submit(client)
    container.checkout_origins._latest = None
    assert DOMAIN not in allowed_by_policy(client)
    container.checkout_origins._expires_at = 0.0
    assert DOMAIN in allowed_by_policy(client)


def test_domain_that_is_no_longer_used_is_no_longer_allowed(
    client: FlaskClient, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(client)
    monkeypatch.setattr(
        container.gateway,
        "create_checkout",
        lambda params: Checkout(reference=f"cs_{params.pledge_id}", url=f"{HOSTED}/c/pay/cs_2"),
    )
    assert submit(client).headers["Location"].startswith(HOSTED)
    assert DOMAIN not in allowed_by_policy(client)


def test_page_is_in_the_language_of_the_reader(client: FlaskClient) -> None:
    response = client.post("/support/default?lang=ru", data=get_support_form(client).fields)
    assert "Переходим на страницу оплаты" in visible_text(response.text)
    assert page(client, "/support/default")
