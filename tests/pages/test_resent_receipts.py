"""Receipts that are sent again: by their reader, by staff, once per wish, and only to who can get them."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import EmailKind, PaymentStatus, RefundStatus, SuppressionReason
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.base import new_id
from service.db.models.admin import AuditEntry
from service.db.models.email import OutgoingEmail
from service.db.models.payment import Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.email.suppression import suppress
from tests.api.client import auth_headers
from tests.cli import assert_cli_error, run_cli
from tests.conftest import settings_for
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import run as send
from tests.pages.accounts import READER, create_paid_pledge, form_to, page, sign_in, the_payment
from tests.pages.html import BROWSER, visible_text

SENT = "This receipt is on its way to your email address."


@pytest.fixture
def payment_id(container: Container, client: FlaskClient) -> uuid.UUID:
    """Return the payment of a signed-in reader, whose first receipt was sent a day ago."""
    create_paid_pledge(container, client)
    send(container)
    container.clock.advance(hours=24)
    sign_in(container, client)
    return the_payment(container)


def receipts(container: Container) -> list[OutgoingEmail]:
    with container.database.read_only() as session:
        query = select(OutgoingEmail).where(OutgoingEmail.kind == EmailKind.RECEIPT)
        return list(session.scalars(query.order_by(OutgoingEmail.id)))


def press(client: FlaskClient, payment_id: uuid.UUID, lang: str = "en") -> str:
    """Press the button on the receipt's page; return the page that follows."""
    form = form_to(page(client, f"/me/receipts/{payment_id}?lang={lang}"), "/send")
    response = client.post(form.action, data=form.fields, headers=BROWSER)
    assert response.status_code == 303
    return visible_text(page(client, response.location))


def test_reader_has_a_receipt_sent_again(container: Container, client: FlaskClient, payment_id: uuid.UUID) -> None:
    assert SENT in press(client, payment_id)
    mailer = FakeMailer()
    send(container, mailer)
    [email] = mailer.sent
    assert (email.kind, email.to) == (EmailKind.RECEIPT, READER)
    assert len({receipt.dedup_key for receipt in receipts(container)}) == 2


def test_double_click_sends_one_and_a_later_wish_another(
    container: Container, client: FlaskClient, payment_id: uuid.UUID
) -> None:
    assert SENT in press(client, payment_id)
    assert SENT in press(client, payment_id)
    send(container)
    container.clock.advance(minutes=1)
    assert SENT in press(client, payment_id)
    assert len(receipts(container)) == 2
    container.clock.advance(minutes=5)
    sign_in(container, client)
    press(client, payment_id)
    assert len(receipts(container)) == 3


def test_concurrent_requests_send_one(app: Flask, container: Container, payment_id: uuid.UUID) -> None:
    headers = auth_headers(container, "manage")

    def request(_: int) -> int:
        return app.test_client().post(f"/v1/admin/payments/{payment_id}/receipt", headers=headers).status_code

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(request, range(4))) == {202}
    assert len(receipts(container)) == 2


def test_old_receipt_is_sent_when_asked_for_and_names_what_is_left(
    container: Container, client: FlaskClient, payment_id: uuid.UUID
) -> None:
    container.clock.advance(days=100)
    with container.database.transaction() as session:
        session.add(
            Refund(
                payment_id=payment_id,
                status=RefundStatus.SUCCEEDED,
                amount_minor=50,
                currency="USD",
                gateway_reference=str(new_id()),
                created_at=container.clock(),
            )
        )
    sign_in(container, client)
    press(client, payment_id)
    mailer = FakeMailer()
    send(container, mailer)
    [email] = [sent for sent in mailer.sent if sent.kind == EmailKind.RECEIPT]
    assert email.money.amount_minor == 200
    assert email.net.amount_minor == 150


def test_receipt_is_in_the_language_of_the_page(
    container: Container, client: FlaskClient, payment_id: uuid.UUID
) -> None:
    press(client, payment_id, "de")
    assert receipts(container)[-1].lang == "de"


def test_suppressed_reader_is_told_why_nothing_comes(
    container: Container, client: FlaskClient, payment_id: uuid.UUID
) -> None:
    with container.database.transaction() as session:
        suppress(session, READER, reason=SuppressionReason.HARD_BOUNCE, now=container.clock())
    response = client.post(f"/me/receipts/{payment_id}/send?lang=en", headers=BROWSER)
    assert response.status_code == 409
    assert "emails to your address didn’t arrive" in response.text
    assert len(receipts(container)) == 1
    answer = client.post(f"/v1/admin/payments/{payment_id}/receipt", headers=auth_headers(container, "manage"))
    assert (answer.status_code, answer.json["code"]) == (409, "receipt_not_deliverable")
    assert "hard_bounce" in answer.json["detail"]


def test_others_cannot_send_it(container: Container, client: FlaskClient, payment_id: uuid.UUID) -> None:
    client.post("/me/leave")
    path = f"/me/receipts/{payment_id}/send"
    assert client.post(path, headers=BROWSER).location == "/me"
    create_paid_pledge(container, client, email="friend@example.org")
    sign_in(container, client, "friend@example.org")
    assert client.post(path, headers=BROWSER).status_code == 404
    assert client.post(path, headers=BROWSER | {"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert [receipt.payment_id for receipt in receipts(container)].count(payment_id) == 1


def test_staff_send_a_receipt_again_and_it_is_audited(
    container: Container, client: FlaskClient, payment_id: uuid.UUID
) -> None:
    answer = client.post(f"/v1/admin/payments/{payment_id}/receipt", headers=auth_headers(container, "manage"))
    assert answer.status_code == 202
    assert answer.json == {"payment": str(payment_id), "status": "scheduled"}
    assert len(receipts(container)) == 2
    with container.database.read_only() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "send_receipt")).one()
    assert entry.details == {"payment": str(payment_id)}


def test_failed_and_unknown_payments_have_no_receipt(
    container: Container, client: FlaskClient, payment_id: uuid.UUID
) -> None:
    headers = auth_headers(container, "manage")
    with container.database.transaction() as session:
        session.get_one(Payment, payment_id).status = PaymentStatus.FAILED
    for wanted in (payment_id, new_id()):
        answer = client.post(f"/v1/admin/payments/{wanted}/receipt", headers=headers)
        assert (answer.status_code, answer.json["code"]) == (404, "payment_not_found")


def test_payment_of_nobody_known_is_a_clear_error(
    container: Container, client: FlaskClient, payment_id: uuid.UUID
) -> None:
    with container.database.transaction() as session:
        session.scalars(select(Pledge)).one().supporter_id = None
    answer = client.post(f"/v1/admin/payments/{payment_id}/receipt", headers=auth_headers(container, "manage"))
    assert (answer.status_code, answer.json["code"]) == (409, "receipt_not_deliverable")


def test_command_sends_a_receipt(container: Container, payment_id: uuid.UUID) -> None:
    environment = {"DATABASE_URL": container.settings.database_url}
    result = run_cli("receipts", "send", str(payment_id), **environment)
    assert result.stdout == "The receipt is in the outbox.\n"
    again = run_cli("receipts", "send", str(payment_id), **environment)
    assert again.stdout == "The receipt was sent a moment ago, or is on its way.\n"
    assert len(receipts(container)) == 2
    unknown = run_cli("receipts", "send", str(new_id()), **environment)
    assert_cli_error(unknown, "There is no successful payment with this id.")


def test_reader_may_ask_ten_times_an_hour(container: Container, payment_id: uuid.UUID) -> None:
    database_url = container.settings.database_url
    limited = build_container(settings_for(database_url, RATE_LIMIT="1000/second"), clock=container.clock)
    client = create_app(limited).test_client()
    sign_in(limited, client)
    path = f"/me/receipts/{payment_id}/send"
    statuses = [client.post(path, headers=BROWSER).status_code for _ in range(11)]
    limited.database.engine.dispose()
    assert statuses == [303] * 10 + [429]
    assert len(receipts(container)) == 2
