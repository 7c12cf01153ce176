"""A reader who comes from a checkout that they went through is thanked, and waits for the gateway's word."""

import re

from flask.testing import FlaskClient

from service.container import Container
from tests.api.client import pay_pledge, post_pledge, update_campaign
from tests.pages.html import visible_text


def done(client: FlaskClient, made: str, **query: str):
    return client.get("/support/default/thank-you", query_string={"pledge": made, "checkout": "done"} | query)


def test_a_payment_that_is_being_confirmed_is_thanked_for_and_looked_for_again(client: FlaskClient) -> None:
    made = post_pledge(client).json["id"]
    response = done(client, made)
    assert "Your payment of $2 a month is being confirmed." in visible_text(response.text)
    seconds, _, onward = response.headers["Refresh"].partition("; url=")
    assert seconds == "3"
    assert onward == f"http://desk.test/support/default/thank-you?pledge={made}&checkout=done&looks=1&lang=en"


def test_it_does_not_look_for_ever(client: FlaskClient) -> None:
    made = post_pledge(client).json["id"]
    for looks in ("20", "999"):
        response = done(client, made, looks=looks)
        assert "Refresh" not in response.headers
        assert "takes longer than usual" in visible_text(response.text)


def test_a_count_that_is_none_is_begun_anew(client: FlaskClient) -> None:
    made = post_pledge(client).json["id"]
    for looks in ("-1", "x", "1" * 500, "²"):
        assert re.search(r"looks=1&", done(client, made, looks=looks).headers["Refresh"])


def test_once_it_came_the_reader_is_thanked_or_led_to_the_newsroom_s_own_page(
    container: Container, client: FlaskClient
) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    ours = post_pledge(client).json["id"]
    theirs = post_pledge(client, return_url="https://paper.example/thanks").json["id"]
    for made in (ours, theirs):
        pay_pledge(container, made)
    assert "Thank you for standing behind us." in visible_text(done(client, ours).text)
    response = done(client, theirs)
    assert response.status_code == 303
    assert response.headers["Location"] == f"https://paper.example/thanks?pledge={theirs}&status=active"


def test_whoever_did_not_come_from_the_checkout_is_told_what_is_so(client: FlaskClient) -> None:
    made = post_pledge(client).json["id"]
    response = client.get(f"/support/default/thank-you?pledge={made}")
    assert "Your payment has not arrived yet" in visible_text(response.text)
    assert "Refresh" not in response.headers
