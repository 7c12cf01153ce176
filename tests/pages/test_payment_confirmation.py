"""The thank-you page after a checkout, while the gateway confirms the payment."""

import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.container import Container
from tests.api.client import pay_pledge, post_pledge, update_campaign
from tests.pages.html import visible_text


def return_from_checkout(client: FlaskClient, pledge_id: str, **query: str) -> TestResponse:
    return client.get("/support/default/thank-you", query_string={"pledge": pledge_id, "checkout": "done"} | query)


def test_pending_payment_refreshes_the_page(client: FlaskClient) -> None:
    pledge_id = post_pledge(client).json["id"]
    response = return_from_checkout(client, pledge_id)
    assert "We’re confirming your payment of $2 a month." in visible_text(response.text)
    seconds, _, next_url = response.headers["Refresh"].partition("; url=")
    assert seconds == "3"
    assert (
        next_url == f"http://desk.test/support/default/thank-you?pledge={pledge_id}&checkout=done&looks=1&lang=en"
    )


def test_refresh_stops_after_the_limit(client: FlaskClient) -> None:
    pledge_id = post_pledge(client).json["id"]
    for looks in ("20", "999"):
        response = return_from_checkout(client, pledge_id, looks=looks)
        assert "Refresh" not in response.headers
        assert "is taking longer than usual" in visible_text(response.text)


def test_invalid_refresh_count_starts_again(client: FlaskClient) -> None:
    pledge_id = post_pledge(client).json["id"]
    for looks in ("-1", "x", "1" * 500, "²"):
        assert re.search(r"looks=1&", return_from_checkout(client, pledge_id, looks=looks).headers["Refresh"])


def test_confirmed_payment_shows_thanks_or_redirects_to_return_url(
    container: Container, client: FlaskClient
) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    without_return_url = post_pledge(client).json["id"]
    with_return_url = post_pledge(client, return_url="https://paper.example/thanks").json["id"]
    for pledge_id in (without_return_url, with_return_url):
        pay_pledge(container, pledge_id)
    assert "Thank you for your support" in visible_text(return_from_checkout(client, without_return_url).text)
    response = return_from_checkout(client, with_return_url)
    assert response.status_code == 303
    assert response.headers["Location"] == f"https://paper.example/thanks?pledge={with_return_url}&status=active"


def test_visit_without_checkout_shows_status_without_refresh(client: FlaskClient) -> None:
    pledge_id = post_pledge(client).json["id"]
    response = client.get(f"/support/default/thank-you?pledge={pledge_id}")
    assert "We’re waiting for your payment" in visible_text(response.text)
    assert "Refresh" not in response.headers
