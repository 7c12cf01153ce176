"""What a reader sees on their own page, and by the link of a mail about one pledge."""

import re
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import PledgeStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from tests.api.client import count
from tests.pages.accounts import AccessPath, create_paid_pledge, form_to, page, pledge_link, sign_in, stored
from tests.pages.html import BROWSER, visible_text


def test_a_reader_sees_what_they_give_and_nobody_else_s(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    create_paid_pledge(container, client, frequency="once", amount=750)
    create_paid_pledge(container, client, amount=99900, email="other@example.org")
    sign_in(container, client)
    shown = visible_text(page(client, "/me"))
    assert "$2 a month Running since November 23, 2026" in shown
    assert "$7.50 once Given on November 23, 2026" in shown
    assert "$999" not in shown


def test_another_reader_s_pledge_and_receipt_are_not_found(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    theirs = create_paid_pledge(container, client, email="other@example.org")
    sign_in(container, client)
    with container.database.read_only() as session:
        payment = session.scalars(select(Payment.id).where(Payment.pledge_id == uuid.UUID(theirs))).one()
    for action in ("cancel", "amount"):
        page(client, f"/me/pledges/{theirs}/{action}", 404)
    for action in ("cancel", "amount", "card"):
        assert client.post(f"/me/pledges/{theirs}/{action}", data={"amount": "5"}).status_code == 404
    page(client, f"/me/receipts/{payment}", 404)
    assert stored(container, theirs).status == PledgeStatus.ACTIVE


@pytest.mark.parametrize("action", ["cancel", "amount", "card"])
def test_who_is_not_signed_in_is_led_to_the_form(container: Container, client: FlaskClient, action: str) -> None:
    made = create_paid_pledge(container, client)
    response = client.post(f"/me/pledges/{made}/{action}", data={"amount": "5"})
    assert (response.status_code, response.headers["Location"]) == (303, "/me")
    assert stored(container, made).status == PledgeStatus.ACTIVE


def test_a_receipt_says_who_got_what_and_what_went_back(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    with container.database.transaction() as session:
        campaign = session.scalars(select(Campaign)).one()
        campaign.legal_name, campaign.tax_line = "Lantern Trust <Ltd>", "Not tax deductible."
        payment = session.scalars(select(Payment)).one()
        refund = {"payment_id": payment.id, "amount_minor": 50, "currency": "USD", "created_at": container.clock()}
        session.add(Refund(id=new_id(), status="succeeded", gateway_reference="re_1", **refund))
    [receipt] = re.findall(r'href="([^"]*/receipts/[^"?]*)', page(client, access_path.home))
    html = page(client, receipt)
    shown = visible_text(html)
    for part in ("Lantern Trust <Ltd>", "Not tax deductible.", "November 23, 2026", "Paid $2", "$0.50", "$1.50"):
        assert part in shown
    assert "reader@" not in html
    assert "<Ltd>" not in html


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_no_page_by_link_shows_an_address_and_none_may_be_indexed(
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
def test_an_altered_link_opens_nothing(client: FlaskClient, token: str) -> None:
    page(client, f"/p/{token}", 404)
    assert client.post(f"/p/{token}/cancel", data={"then": "end"}).status_code == 404


def test_a_reminder_is_set_and_found_on_the_reader_s_page(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    form = form_to(page(client, "/me"), "/me/reminders/default")
    assert client.post(form.action, data={"months": form.buttons[0][1]}).status_code == 303
    shown = page(client, "/me")
    assert "We write to you on December 23, 2026" in visible_text(shown)
    own_page = re.search(r'href="(/r/[^"]+)"', shown)
    assert own_page is not None
    assert "We will remind you" in visible_text(page(client, own_page[1]))


def test_a_reminder_that_is_not_offered_is_refused(container: Container, client: FlaskClient) -> None:
    create_paid_pledge(container, client)
    sign_in(container, client)
    assert client.post("/me/reminders/default", data={"months": "23"}).status_code == 422
    assert count(container, Reminder) == 0


@pytest.mark.parametrize("status", PledgeStatus)
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_each_standing_has_words(
    container: Container, client: FlaskClient, status: PledgeStatus, lang: str
) -> None:
    made = create_paid_pledge(container, client)
    with container.database.transaction() as session:
        session.get_one(Pledge, uuid.UUID(made)).status = status
    assert "None" not in visible_text(page(client, f"{pledge_link(container, made)}?lang={lang}"))
