"""The thank-you page in every status of a pledge."""

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


def create_pledge(client: FlaskClient, **changes: Any) -> str:
    return str(post_pledge(client, **changes).json["id"])


def set_status(container: Container, pledge_id: str, status: PledgeStatus) -> None:
    with container.database.transaction() as session:
        get_pledge(session, uuid.UUID(pledge_id)).status = status


@pytest.mark.parametrize(
    ("frequency", "amount", "sentence"),
    [
        ("once", 750, "You’ve given The Harbour Lantern $7.50."),
        ("monthly", 200, "You’re now giving The Harbour Lantern $2 a month."),
        ("annual", 100000, "You’re now giving The Harbour Lantern $1,000 a year."),
    ],
)
def test_page_shows_amount_and_frequency(
    container: Container, client: FlaskClient, frequency: str, amount: int, sentence: str
) -> None:
    pledge_id = create_pledge(client, frequency=frequency, amount=amount)
    pay_pledge(container, pledge_id)
    page = visible_text(thanks(client, pledge_id))
    assert sentence in page
    assert "Thank you" in page


def test_sandbox_payment_has_a_test_notice(container: Container, client: FlaskClient) -> None:
    pledge_id = create_pledge(client)
    pay_pledge(container, pledge_id)
    assert "This was a test: no card was used and no money has moved." in visible_text(thanks(client, pledge_id))


def test_page_links_back_only_to_listed_hosts(container: Container, client: FlaskClient) -> None:
    update_campaign(container, return_hosts=["paper.example"])
    listed = create_pledge(client, page_url="https://paper.example/story")
    unlisted = create_pledge(client, page_url="https://elsewhere.example/story")
    for pledge_id in (listed, unlisted):
        pay_pledge(container, pledge_id)
    assert 'href="https://paper.example/story"' in thanks(client, listed)
    assert "elsewhere.example" not in thanks(client, unlisted)


def test_page_links_back_to_the_newsrooms_own_support_page(container: Container, client: FlaskClient) -> None:
    update_campaign(container, support_url="https://paper.example/support")
    pledge_id, forged = (
        create_pledge(client, page_url=f"https://{host}/story") for host in ("paper.example", "evil.example")
    )
    for each in (pledge_id, forged):
        pay_pledge(container, each)
    assert 'href="https://paper.example/story"' in thanks(client, pledge_id)
    assert "evil.example" not in thanks(client, forged)


def test_pending_pledge_never_shows_its_checkout(client: FlaskClient) -> None:
    pledge = post_pledge(client).json
    page = thanks(client, pledge["id"])
    assert "We’re waiting for your payment" in visible_text(page)
    assert "Thank you" not in visible_text(page)
    # Whoever has the id, for example from an address bar, may not open a checkout of someone else.
    assert pledge["checkout_url"] not in page
    assert "/checkout/" not in page
    assert 'href="http://desk.test/support/default?frequency=monthly&amp;amount=200"' in page


def test_expired_pledge_offers_the_same_choice(container: Container, client: FlaskClient) -> None:
    pledge_id = create_pledge(client, frequency="annual", amount=5000)
    set_status(container, pledge_id, PledgeStatus.EXPIRED)
    page = thanks(client, pledge_id)
    assert "You haven’t been charged" in visible_text(page)
    assert "/support/default?frequency=annual&amp;amount=5000" in page


@pytest.mark.parametrize("status", PledgeStatus)
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_every_status_has_texts_in_every_language(
    container: Container, client: FlaskClient, status: PledgeStatus, lang: str
) -> None:
    pledge_id = create_pledge(client, lang=lang)
    set_status(container, pledge_id, status)
    assert f'<html lang="{lang}"' in thanks(client, pledge_id, **{"Accept-Language": "de"})


@pytest.mark.parametrize("pledge_id", ["", "1", "00000000-0000-0000-0000-000000000000", "x&pledge=1"])
def test_unknown_pledge_is_not_found(client: FlaskClient, pledge_id: str) -> None:
    response = client.get(f"/support/default/thank-you?pledge={pledge_id}", headers=BROWSER)
    assert response.status_code == 404
    assert "Donation not found" in visible_text(response.text)


def test_pledge_of_another_campaign_is_not_found(container: Container, client: FlaskClient) -> None:
    update_campaign(container, slug="winter")
    assert client.get(f"/support/winter/thank-you?pledge={create_pledge(client)}").status_code == 404


def test_page_hides_the_address(container: Container, client: FlaskClient) -> None:
    pledge_id = create_pledge(client)
    pay_pledge(container, pledge_id, email="reader@example.org")
    assert "reader" not in thanks(client, pledge_id)
