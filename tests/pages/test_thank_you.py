"""The thank-you page thanks for what was given, and is honest about what was not."""

import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from schemas.enums import PledgeStatus
from service.container import Container
from service.domain.pledges.pledges import get_pledge
from tests.api.client import pay_pledge, post_pledge, update_campaign
from tests.pages.html import BROWSER, visible_text


def thanks(client: FlaskClient, pledge_id: str, slug: str = "default", **headers: str) -> str:
    response = client.get(f"/support/{slug}/thank-you?pledge={pledge_id}", headers=headers)
    assert response.status_code == 200
    return response.text


def a_pledge(client: FlaskClient, **changes: Any) -> str:
    return str(post_pledge(client, **changes).json["id"])


def put(container: Container, pledge_id: str, status: PledgeStatus) -> None:
    """Put a pledge where its table would have brought it."""
    with container.database.transaction() as session:
        get_pledge(session, uuid.UUID(pledge_id)).status = status


@pytest.mark.parametrize(
    ("frequency", "amount", "words"),
    [
        ("once", 750, "You gave The Harbour Lantern $7.50."),
        ("monthly", 200, "You give The Harbour Lantern $2 a month."),
        ("annual", 100000, "You give The Harbour Lantern $1,000 a year."),
    ],
)
def test_it_says_what_was_given(
    container: Container, client: FlaskClient, frequency: str, amount: int, words: str
) -> None:
    made = a_pledge(client, frequency=frequency, amount=amount)
    pay_pledge(container, made)
    page = visible_text(thanks(client, made))
    assert words in page
    assert "Thank you" in page


def test_a_test_is_called_one(container: Container, client: FlaskClient) -> None:
    made = a_pledge(client)
    pay_pledge(container, made)
    assert "This was a test: no card was asked for and no money has moved." in visible_text(thanks(client, made))


def test_it_leads_back_to_the_article_if_the_newsroom_lists_it(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    listed = a_pledge(client, page_url="https://paper.example/story")
    unlisted = a_pledge(client, page_url="https://elsewhere.example/story")
    for made in (listed, unlisted):
        pay_pledge(container, made)
    assert 'href="https://paper.example/story"' in thanks(client, listed)
    assert "elsewhere.example" not in thanks(client, unlisted)


def test_a_gift_that_is_not_paid_yet_is_not_thanked_for(client: FlaskClient) -> None:
    opened = post_pledge(client).json
    page = thanks(client, opened["id"])
    assert "Your payment has not arrived yet" in visible_text(page)
    assert "Thank you" not in visible_text(page)
    assert f'href="{opened["checkout_url"]}"' in page


def test_a_checkout_that_closed_can_be_tried_again_with_the_same_choice(
    container: Container, client: FlaskClient
) -> None:
    made = a_pledge(client, frequency="annual", amount=5000)
    put(container, made, PledgeStatus.EXPIRED)
    page = thanks(client, made)
    assert "you have not been charged" in visible_text(page)
    assert "/support/default?frequency=annual&amp;amount=5000" in page


@pytest.mark.parametrize("status", PledgeStatus)
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_each_state_has_words_in_each_language(
    container: Container, client: FlaskClient, status: PledgeStatus, lang: str
) -> None:
    made = a_pledge(client, lang=lang)
    put(container, made, status)
    assert f'<html lang="{lang}"' in thanks(client, made, **{"Accept-Language": "de"})


@pytest.mark.parametrize("wanted", ["", "1", "00000000-0000-0000-0000-000000000000", "{made}&pledge=1"])
def test_a_pledge_that_does_not_exist_is_a_page_of_its_own(client: FlaskClient, wanted: str) -> None:
    response = client.get(f"/support/default/thank-you?pledge={wanted}", headers=BROWSER)
    assert response.status_code == 404
    assert "We cannot find this gift" in visible_text(response.text)


def test_a_pledge_is_not_shown_under_another_campaign(container: Container, client: FlaskClient) -> None:
    update_campaign(container, slug="winter")
    assert client.get(f"/support/winter/thank-you?pledge={a_pledge(client)}").status_code == 404


def test_the_page_names_nobody(container: Container, client: FlaskClient) -> None:
    made = a_pledge(client)
    pay_pledge(container, made, email="reader@example.org")
    assert "reader" not in thanks(client, made)
