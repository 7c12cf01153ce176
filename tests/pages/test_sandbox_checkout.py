"""The sandbox checkout, whose buttons have the effect of a real gateway's events."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from schemas.enums import PaymentStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.supporter import Supporter
from service.domain.payments.sandbox import checkout_token
from service.domain.pledges.links import return_token
from service.domain.pledges.pledges import CHECKOUT_TTL, expire_abandoned_pledges
from tests.api.client import count, post_pledge, update_campaign
from tests.clock import FakeClock
from tests.pages.html import BROWSER, find_tag, parse_forms, path_of, visible_text


def open_checkout(client: FlaskClient, **changes: Any) -> str:
    """Create a pledge and return the path of its checkout."""
    response = post_pledge(client, **changes)
    assert response.status_code == 201, response.text
    return path_of(response.json["checkout_url"])


def press(client: FlaskClient, checkout: str, outcome: str, **fields: str) -> TestResponse:
    """Open the checkout and press one of its buttons."""
    [form] = parse_forms(client.get(checkout).text)
    assert outcome in [value for _, value, _ in form.buttons]
    return client.post(checkout, data=form.fields | {"outcome": outcome} | fields)


def the_pledge(container: Container) -> Pledge:
    with container.database.read_only() as session:
        return session.scalars(select(Pledge)).one()


def payments(container: Container) -> list[PaymentStatus]:
    with container.database.read_only() as session:
        return list(session.scalars(select(Payment.status).order_by(Payment.id)))


def cancel_link(page: str) -> str:
    """Return the target of the link that leaves the checkout."""
    return find_tag(page.partition('class="way-out"')[2], "href").partition('"')[2].partition('"')[0]


def test_checkout_shows_test_notice_and_amount(client: FlaskClient) -> None:
    page = visible_text(client.get(open_checkout(client)).text)
    assert "This is a test. No card is needed and no money moves." in page
    assert "Your donation to The Harbour Lantern $2 a month" in page


def test_get_requests_do_not_pay(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    for _ in range(3):
        client.get(checkout)
        client.head(checkout)
    assert (the_pledge(container).status, payments(container)) == ("pending", [])


@pytest.mark.parametrize(
    ("frequency", "status"), [("once", "completed"), ("monthly", "active"), ("annual", "active")]
)
def test_payment_redirects_to_the_thank_you_page(
    container: Container, client: FlaskClient, frequency: str, status: str
) -> None:
    response = press(client, open_checkout(client, frequency=frequency), "pay")
    pledge = the_pledge(container)
    assert response.status_code == 303
    thanks, _, token = response.headers["Location"].partition("&link=")
    assert thanks == f"http://desk.test/support/default/thank-you?pledge={pledge.id}"
    assert token == return_token(container.database.keyring, pledge.id)
    assert (pledge.status, payments(container), pledge.supporter_id) == (status, ["succeeded"], None)


def test_double_payment_is_recorded_once(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    [form] = parse_forms(client.get(checkout).text)
    responses = [client.post(checkout, data=form.fields | {"outcome": "pay"}) for _ in range(2)]
    assert responses[0].headers["Location"] == responses[1].headers["Location"]
    assert payments(container) == ["succeeded"]


def test_address_creates_a_supporter(container: Container, client: FlaskClient) -> None:
    press(client, open_checkout(client), "pay", email=" reader@EXAMPLE.org ")
    with container.database.read_only() as session:
        assert session.scalars(select(Supporter)).one().email == "reader@example.org"
        assert session.scalars(select(Pledge)).one().supporter_id is not None


def test_invalid_address_shows_error_without_payment(container: Container, client: FlaskClient) -> None:
    response = press(client, open_checkout(client), "pay", email="reader@")
    assert response.status_code == 422
    assert "Enter an email address like" in visible_text(response.text)
    assert parse_forms(response.text)[0].fields["email"] == "reader@"
    assert (the_pledge(container).status, payments(container), count(container, Supporter)) == ("pending", [], 0)


def test_declined_payment_can_be_retried(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    response = press(client, checkout, "decline", email="reader@example.org")
    assert "The payment was declined. You can try again." in visible_text(response.text)
    [form] = parse_forms(response.text)
    assert form.fields["email"] == "reader@example.org"
    assert (the_pledge(container).status, payments(container)) == ("pending", ["failed"])
    client.post(checkout, data=form.fields | {"outcome": "pay"})
    assert (the_pledge(container).status, payments(container)) == ("active", ["failed", "succeeded"])


def test_declined_attempt_is_recorded_once(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    [form] = parse_forms(client.get(checkout).text)
    for _ in range(2):
        client.post(checkout, data=form.fields | {"outcome": "decline"})
    assert payments(container) == ["failed"]
    press(client, checkout, "decline")
    assert payments(container) == ["failed", "failed"]


def test_invalid_attempt_id_is_replaced(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    for attempt in ("", "x" * 5000, "'; --"):
        assert client.post(checkout, data={"outcome": "decline", "attempt": attempt}).status_code == 402
    assert payments(container) == ["failed"] * 3


@pytest.mark.parametrize("outcome", ["pay", "decline"])
def test_paid_checkout_accepts_no_further_payment(container: Container, client: FlaskClient, outcome: str) -> None:
    checkout = open_checkout(client)
    press(client, checkout, "pay")
    page = client.get(checkout).text
    assert "This donation is paid" in visible_text(page)
    assert parse_forms(page) == []
    assert client.post(checkout, data={"outcome": outcome}).status_code in (200, 303)
    assert (the_pledge(container).status, payments(container)) == ("active", ["succeeded"])


@pytest.mark.parametrize("outcome", ["pay", "decline"])
def test_expired_checkout_offers_the_same_choice(container: Container, client: FlaskClient, outcome: str) -> None:
    checkout = open_checkout(client)
    with container.database.transaction() as session:
        assert expire_abandoned_pledges(session, now=container.clock() + CHECKOUT_TTL) == 1
    page = client.get(checkout).text
    assert "This checkout expired" in visible_text(page)
    assert "/support/default?frequency=monthly&amp;amount=200" in page
    assert parse_forms(page) == []
    client.post(checkout, data={"outcome": outcome})
    assert (the_pledge(container).status, payments(container)) == ("expired", [])


@pytest.mark.parametrize("outcome", ["", "refund"])
def test_unknown_outcome_is_a_bad_request(container: Container, client: FlaskClient, outcome: str) -> None:
    assert client.post(open_checkout(client), data={"outcome": outcome}).status_code == 400
    assert (the_pledge(container).status, payments(container)) == ("pending", [])


def test_altered_or_expired_checkout_link_is_not_found(
    container: Container, client: FlaskClient, clock: FakeClock
) -> None:
    checkout = open_checkout(client)
    unknown = f"/sandbox/checkout/{checkout_token(container.database.keyring, new_id())}"
    for path in (checkout[:-4] + "AAAA", unknown, "/sandbox/checkout/x"):
        for response in (
            client.get(path, headers=BROWSER),
            client.post(path, data={"outcome": "pay"}, headers=BROWSER),
        ):
            assert response.status_code == 404
            assert "Donation not found" in visible_text(response.text)
    clock.advance(days=4000)
    assert client.get(checkout).status_code == 404
    assert payments(container) == []


def way_back(client: FlaskClient, checkout: str) -> str:
    """Leave the checkout; return the link of the page that says that nothing was charged."""
    page = client.get(cancel_link(checkout)).text
    assert "You haven’t been charged" in visible_text(page)
    link = re.search(r'class="main-button" href="([^"]+)"', page)
    assert link is not None
    return link[1]


def test_cancel_link_leads_to_page_url_or_return_url(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    page_url, return_url = "https://paper.example/article", "https://paper.example/done?a=1#top"
    assert way_back(client, client.get(open_checkout(client, page_url=page_url)).text) == page_url
    url = cancel_link(client.get(open_checkout(client, page_url=page_url, return_url=return_url)).text)
    assert url.startswith("https://paper.example/done?a=1&amp;pledge=")
    assert url.endswith("&amp;status=pending#top")


@pytest.mark.parametrize(
    "page_url",
    [
        None,
        "https://elsewhere.example/article",
        "https://paper.example.elsewhere.example/",
        "https://desk.test.elsewhere.example/",
        "https://elsewhere.example/?https://desk.test",
    ],
)
def test_cancel_link_never_leads_to_an_unlisted_host(
    container: Container, client: FlaskClient, page_url: str | None
) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    changes = {} if page_url is None else {"page_url": page_url}
    page = client.get(open_checkout(client, **changes)).text
    assert way_back(client, page) == "http://desk.test/support/default?frequency=monthly&amp;amount=200"


def test_cancel_link_may_lead_to_own_pages_and_listed_origins(container: Container, client: FlaskClient) -> None:
    update_campaign(container, origins=["https://news.example"])
    for page_url in ("http://desk.test/demo", "https://news.example/story"):
        assert way_back(client, client.get(open_checkout(client, page_url=page_url)).text) == page_url


def test_return_url_gets_pledge_id_and_status(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    checkout = open_checkout(client, return_url="https://paper.example/done?a=1#top")
    policy = client.get(checkout).headers["Content-Security-Policy"]
    assert "form-action 'self' http://desk.test https://paper.example;" in policy
    location = press(client, checkout, "pay").headers["Location"]
    assert location == f"https://paper.example/done?a=1&pledge={the_pledge(container).id}&status=active#top"


def test_return_url_on_a_removed_host_is_not_used(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    checkout = open_checkout(client, return_url="https://paper.example/done")
    update_campaign(container, return_hosts=[])
    assert (
        press(client, checkout, "pay").headers["Location"].startswith("http://desk.test/support/default/thank-you")
    )


def test_checkout_is_in_the_language_of_the_pledge(client: FlaskClient) -> None:
    page = client.get(open_checkout(client, lang="ru"), headers={"Accept-Language": "en"}).text
    assert "Это тест. Карта не нужна, деньги не списываются." in visible_text(page)
