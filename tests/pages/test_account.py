"""The account page and the page of one pledge: pledges, receipts and reminders."""

import re
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import PledgeStatus
from service.container import Container
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from tests.api.client import count
from tests.pages.accounts import create_paid_pledge, form_to, page, pledge_link, sign_in, stored
from tests.pages.html import BROWSER, visible_text


def test_account_shows_only_own_pledges(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    create_paid_pledge(container, client, frequency="once", amount=750)
    create_paid_pledge(container, client, amount=99900, email="other@example.org")
    sign_in(container, client)
    text = visible_text(page(client, "/me"))
    assert "$2 a month Active since November 23, 2026" in text
    assert "$7.50 once Given on November 23, 2026" in text
    assert "$999" not in text


def test_pledge_and_receipt_of_another_supporter_are_not_found(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    other_pledge_id = create_paid_pledge(container, client, email="other@example.org")
    sign_in(container, client)
    with container.database.read_only() as session:
        payment_id = session.scalars(
            select(Payment.id).where(Payment.pledge_id == uuid.UUID(other_pledge_id))
        ).one()
    for action in ("cancel", "amount"):
        page(client, f"/me/pledges/{other_pledge_id}/{action}", 404)
    for action in ("cancel", "amount", "card"):
        assert client.post(f"/me/pledges/{other_pledge_id}/{action}", data={"amount": "5"}).status_code == 404
    page(client, f"/me/receipts/{payment_id}", 404)
    assert stored(container, other_pledge_id).status == PledgeStatus.ACTIVE


@pytest.mark.parametrize("action", ["cancel", "amount", "card"])
def test_action_without_session_redirects_to_sign_in(
    container: Container, client: FlaskClient, action: str
) -> None:
    pledge_id = create_paid_pledge(container, client)
    response = client.post(f"/me/pledges/{pledge_id}/{action}", data={"amount": "5"})
    assert (response.status_code, response.headers["Location"]) == (303, "/me")
    assert stored(container, pledge_id).status == PledgeStatus.ACTIVE


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_pledge_pages_by_link_hide_the_address_and_are_not_indexed(
    container: Container, client: FlaskClient, lang: str
) -> None:
    base = pledge_link(container, create_paid_pledge(container, client))
    for path in (base, f"{base}/cancel", f"{base}/amount"):
        response = client.get(f"{path}?lang={lang}", headers=BROWSER)
        assert response.status_code == 200
        assert "reader@" not in response.text
        assert "reader" not in response.headers.get("Location", "")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Robots-Tag"] == "noindex"
        assert f'<html lang="{lang}"' in response.text


@pytest.mark.parametrize("token", ["x", "é", "a" * 76])
def test_altered_pledge_link_is_not_found(client: FlaskClient, token: str) -> None:
    page(client, f"/p/{token}", 404)
    assert client.post(f"/p/{token}/cancel", data={"then": "end"}).status_code == 404


def test_new_reminder_is_listed_in_the_account(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client, frequency="once", amount=500)
    sign_in(container, client)
    form = form_to(page(client, "/me"), "/me/reminders/default")
    assert client.post(form.action, data={"months": form.buttons[0][1]}).status_code == 303
    account = page(client, "/me")
    assert "We’ll email you on December 23, 2026" in visible_text(account)
    match = re.search(r'href="(/r/[^"]+)"', account)
    assert match is not None
    assert "We’ll remind you" in visible_text(page(client, match[1]))


@pytest.mark.parametrize("frequency", ["monthly", "annual"])
def test_active_supporter_is_not_offered_a_reminder_to_give(
    container: Container, client: FlaskClient, frequency: str
) -> None:
    create_paid_pledge(container, client, frequency="once", amount=5000)
    pledge_id = create_paid_pledge(container, client, frequency=frequency, amount=5000)
    sign_in(container, client)
    assert "/me/reminders/default" not in page(client, "/me")
    assert client.post(f"/me/pledges/{pledge_id}/cancel", data={"then": "end"}).status_code == 303
    assert "/me/reminders/default" in page(client, "/me")


def test_unavailable_reminder_interval_is_rejected(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    assert client.post("/me/reminders/default", data={"months": "23"}).status_code == 422
    assert count(container, Reminder) == 0


@pytest.mark.parametrize("status", PledgeStatus)
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_every_pledge_status_has_texts(
    container: Container, client: FlaskClient, status: PledgeStatus, lang: str
) -> None:
    pledge_id = create_paid_pledge(container, client)
    with container.database.transaction() as session:
        session.get_one(Pledge, uuid.UUID(pledge_id)).status = status
    assert "None" not in visible_text(page(client, f"{pledge_link(container, pledge_id)}?lang={lang}"))
