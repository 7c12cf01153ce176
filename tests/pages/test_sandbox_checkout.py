"""The sandbox's checkout: a test that says so, whose buttons do what a real processor's events do."""

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
from service.domain.pledges.pledges import CHECKOUT_TTL, expire_abandoned_pledges
from tests.api.client import count, post_pledge, update_campaign
from tests.clock import FakeClock
from tests.pages.html import BROWSER, find_tag, parse_forms, path_of, visible_text


def open_checkout(client: FlaskClient, **changes: Any) -> str:
    """Make a pledge and return the path of its checkout."""
    response = post_pledge(client, **changes)
    assert response.status_code == 201, response.text
    return path_of(response.json["checkout_url"])


def press(client: FlaskClient, checkout: str, outcome: str, **typed: str) -> TestResponse:
    """Open the checkout and press one of its buttons."""
    [form] = parse_forms(client.get(checkout).text)
    assert outcome in [value for _, value, _ in form.buttons]
    return client.post(checkout, data=form.fields | {"outcome": outcome} | typed)


def the_pledge(container: Container) -> Pledge:
    with container.database.read_only() as session:
        return session.scalars(select(Pledge)).one()


def payments(container: Container) -> list[PaymentStatus]:
    with container.database.read_only() as session:
        return list(session.scalars(select(Payment.status).order_by(Payment.id)))


def way_out(page: str) -> str:
    """Return where the link away from the checkout leads."""
    return find_tag(page.partition('class="way-out"')[2], "href").partition('"')[2].partition('"')[0]


def test_the_checkout_says_that_it_is_a_test_and_what_is_given(client: FlaskClient) -> None:
    page = visible_text(client.get(open_checkout(client)).text)
    assert "This is a test. No card is taken and no money moves." in page
    assert "Your gift to The Harbour Lantern $2 a month" in page


def test_looking_at_a_checkout_pays_nothing(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    for _ in range(3):
        client.get(checkout)
        client.head(checkout)
    assert (the_pledge(container).status, payments(container)) == ("pending", [])


@pytest.mark.parametrize(
    ("frequency", "status"), [("once", "completed"), ("monthly", "active"), ("annual", "active")]
)
def test_paying_leads_to_the_thanks(
    container: Container, client: FlaskClient, frequency: str, status: str
) -> None:
    response = press(client, open_checkout(client, frequency=frequency), "pay")
    found = the_pledge(container)
    assert response.status_code == 303
    assert response.headers["Location"] == f"http://desk.test/support/default/thank-you?pledge={found.id}"
    assert (found.status, payments(container), found.supporter_id) == (status, ["succeeded"], None)


def test_paying_twice_counts_once_and_leads_to_the_same_thanks(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    [form] = parse_forms(client.get(checkout).text)
    responses = [client.post(checkout, data=form.fields | {"outcome": "pay"}) for _ in range(2)]
    assert responses[0].headers["Location"] == responses[1].headers["Location"]
    assert payments(container) == ["succeeded"]


def test_an_address_makes_the_reader_known(container: Container, client: FlaskClient) -> None:
    press(client, open_checkout(client), "pay", email=" reader@EXAMPLE.org ")
    with container.database.read_only() as session:
        assert session.scalars(select(Supporter)).one().email == "reader@example.org"
        assert session.scalars(select(Pledge)).one().supporter_id is not None


def test_an_address_that_mail_cannot_reach_is_explained_and_nothing_is_paid(
    container: Container, client: FlaskClient
) -> None:
    response = press(client, open_checkout(client), "pay", email="reader@")
    assert response.status_code == 422
    assert "Write the address in full" in visible_text(response.text)
    assert parse_forms(response.text)[0].fields["email"] == "reader@"
    assert (the_pledge(container).status, payments(container), count(container, Supporter)) == ("pending", [], 0)


def test_a_declined_payment_can_be_tried_again(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    response = press(client, checkout, "decline", email="reader@example.org")
    assert "The payment was declined. You can try again." in visible_text(response.text)
    [form] = parse_forms(response.text)
    assert form.fields["email"] == "reader@example.org"
    assert (the_pledge(container).status, payments(container)) == ("pending", ["failed"])
    client.post(checkout, data=form.fields | {"outcome": "pay"})
    assert (the_pledge(container).status, payments(container)) == ("active", ["failed", "succeeded"])


def test_each_try_is_declined_once_however_often_the_button_is_pressed(
    container: Container, client: FlaskClient
) -> None:
    checkout = open_checkout(client)
    [form] = parse_forms(client.get(checkout).text)
    for _ in range(2):
        client.post(checkout, data=form.fields | {"outcome": "decline"})
    assert payments(container) == ["failed"]
    press(client, checkout, "decline")
    assert payments(container) == ["failed", "failed"]


def test_a_try_with_a_strange_name_gets_one_of_ours(container: Container, client: FlaskClient) -> None:
    checkout = open_checkout(client)
    for attempt in ("", "x" * 5000, "'; --"):
        assert client.post(checkout, data={"outcome": "decline", "attempt": attempt}).status_code == 402
    assert payments(container) == ["failed"] * 3


@pytest.mark.parametrize("outcome", ["pay", "decline"])
def test_a_gift_that_is_paid_shows_so_and_takes_nothing_more(
    container: Container, client: FlaskClient, outcome: str
) -> None:
    checkout = open_checkout(client)
    press(client, checkout, "pay")
    page = client.get(checkout).text
    assert "This gift is paid" in visible_text(page)
    assert parse_forms(page) == []
    assert client.post(checkout, data={"outcome": outcome}).status_code in (200, 303)
    assert (the_pledge(container).status, payments(container)) == ("active", ["succeeded"])


@pytest.mark.parametrize("outcome", ["pay", "decline"])
def test_a_checkout_that_has_closed_says_so_and_offers_the_same_choice(
    container: Container, client: FlaskClient, outcome: str
) -> None:
    checkout = open_checkout(client)
    with container.database.transaction() as session:
        assert expire_abandoned_pledges(session, now=container.clock() + CHECKOUT_TTL) == 1
    page = client.get(checkout).text
    assert "This checkout has closed" in visible_text(page)
    assert "/support/default?frequency=monthly&amp;amount=200" in page
    assert parse_forms(page) == []
    client.post(checkout, data={"outcome": outcome})
    assert (the_pledge(container).status, payments(container)) == ("expired", [])


@pytest.mark.parametrize("outcome", ["", "refund"])
def test_a_button_that_is_not_there_does_nothing(container: Container, client: FlaskClient, outcome: str) -> None:
    assert client.post(open_checkout(client), data={"outcome": outcome}).status_code == 400
    assert (the_pledge(container).status, payments(container)) == ("pending", [])


def test_a_link_that_was_altered_or_is_too_old_opens_nothing(
    container: Container, client: FlaskClient, clock: FakeClock
) -> None:
    checkout = open_checkout(client)
    unmade = f"/sandbox/checkout/{checkout_token(container.database.keyring, new_id())}"
    for path in (checkout[:-4] + "AAAA", unmade, "/sandbox/checkout/x"):
        for response in (
            client.get(path, headers=BROWSER),
            client.post(path, data={"outcome": "pay"}, headers=BROWSER),
        ):
            assert response.status_code == 404
            assert "We cannot find this gift" in visible_text(response.text)
    clock.advance(days=4000)
    assert client.get(checkout).status_code == 404
    assert payments(container) == []


def test_who_walks_away_comes_back_to_the_newsrooms_own_page(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    page_url, return_url = "https://paper.example/article", "https://paper.example/done?a=1#top"
    assert way_out(client.get(open_checkout(client, page_url=page_url)).text) == page_url
    back = way_out(client.get(open_checkout(client, page_url=page_url, return_url=return_url)).text)
    assert back.startswith("https://paper.example/done?a=1&amp;pledge=")
    assert back.endswith("&amp;status=pending#top")


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
def test_who_walks_away_is_never_sent_to_a_page_that_nobody_listed(
    container: Container, client: FlaskClient, page_url: str | None
) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    changes = {} if page_url is None else {"page_url": page_url}
    page = client.get(open_checkout(client, **changes)).text
    assert way_out(page) == "http://desk.test/support/default?frequency=monthly&amp;amount=200"


def test_who_walks_away_may_return_to_a_page_of_ours_or_of_a_site_that_embeds_the_box(
    container: Container, client: FlaskClient
) -> None:
    update_campaign(container, origins=["https://news.example"])
    for page_url in ("http://desk.test/demo", "https://news.example/story"):
        assert way_out(client.get(open_checkout(client, page_url=page_url)).text) == page_url


def test_after_paying_the_newsrooms_own_page_is_told_which_pledge_and_where_it_stands(
    container: Container, client: FlaskClient
) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    checkout = open_checkout(client, return_url="https://paper.example/done?a=1#top")
    policy = client.get(checkout).headers["Content-Security-Policy"]
    assert "form-action 'self' http://desk.test https://paper.example;" in policy
    location = press(client, checkout, "pay").headers["Location"]
    assert location == f"https://paper.example/done?a=1&pledge={the_pledge(container).id}&status=active#top"


def test_a_host_that_was_taken_off_the_list_since_gets_no_reader(
    container: Container, client: FlaskClient
) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    checkout = open_checkout(client, return_url="https://paper.example/done")
    update_campaign(container, return_hosts=[])
    assert (
        press(client, checkout, "pay").headers["Location"].startswith("http://desk.test/support/default/thank-you")
    )


def test_the_checkout_speaks_the_language_the_pledge_was_made_in(client: FlaskClient) -> None:
    page = client.get(open_checkout(client, lang="ru"), headers={"Accept-Language": "en"}).text
    assert "Это проверка. Карта не нужна, деньги не списываются." in visible_text(page)
