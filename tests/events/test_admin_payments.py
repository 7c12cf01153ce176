"""Staff refund a payment, end a pledge and apply a parked event again: audited, once, never past the rules."""

import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from schemas.enums import EventStatus, Frequency, PaymentStatus, PledgeStatus, RefundStatus
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.payment import GatewayEvent, Payment, Refund
from service.domain.supporters import erase_supporter
from tests.api.client import assert_problem, auth_headers, count, get_json, new_idempotency_key
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe

READER = "ada@news.example"


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "read", "manage")


def given(scenario: StripeScenario, frequency: Frequency = Frequency.ONCE) -> uuid.UUID:
    """Let a reader give, and Stripe tell of it; return the pledge."""
    opened = scenario.create_checkout(frequency, amount=500)
    scenario.stripe.pay(scenario.session_of(opened), email=READER)
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_event_job()
    return opened.id


def the_payment(container: Container) -> Payment:
    with container.database.read_only() as session:
        return session.scalars(select(Payment)).one()


def send_back(
    client: FlaskClient, container: Container, staff: dict[str, str], *, key: str | None = None, **body: int
) -> TestResponse:
    headers = staff | {"Idempotency-Key": key or new_idempotency_key()}
    return client.post(f"/v1/admin/payments/{the_payment(container).id}/refund", headers=headers, json=body)


def test_a_refund_goes_back_once_however_often_it_is_asked_for(
    client: FlaskClient, container: Container, scenario: StripeScenario, staff: dict[str, str]
) -> None:
    pledge = given(scenario)
    key = new_idempotency_key()
    first, again = (send_back(client, container, staff, key=key) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.json == again.json
    assert (first.json["status"], first.json["amount"]) == (RefundStatus.SUCCEEDED, 500)
    assert scenario.books(pledge)["pledge"]["status"] == PledgeStatus.REFUNDED
    scenario.deliver_webhooks(*scenario.stripe.events)
    assert "parked" not in scenario.run_event_job()
    assert count(container, Refund) == len(scenario.stripe.account.all("refund")) == 1
    assert the_payment(container).status == PaymentStatus.REFUNDED


def test_a_part_goes_back_and_then_no_more_than_is_left(
    client: FlaskClient, container: Container, scenario: StripeScenario, staff: dict[str, str]
) -> None:
    pledge = given(scenario)
    assert send_back(client, container, staff, amount=200).status_code == 200
    assert the_payment(container).status == PaymentStatus.PARTIALLY_REFUNDED
    problem = send_back(client, container, staff, amount=301)
    assert_problem(problem, 422, "refund_too_large", field="amount", says="300")
    [row] = get_json(client, staff, "/v1/admin/pledges")["items"]
    assert (row["payments"], row["paid_total"]) == (1, 300)
    assert send_back(client, container, staff).json["amount"] == 300
    assert_problem(send_back(client, container, staff), 409, "illegal_move")
    [row] = get_json(client, staff, "/v1/admin/pledges")["items"]
    assert (row["payments"], row["paid_total"], row["status"]) == (0, 0, "refunded")
    [payment] = get_json(client, staff, f"/v1/admin/pledges/{pledge}/payments")["items"]
    assert [refund["amount"] for refund in payment["refunds"]] == [200, 300]
    summary = get_json(client, staff, "/v1/admin/summary")
    assert summary["ledger"] == [{"currency": "USD", "received": 500, "refunded": 500, "disputed": 0}]


def test_a_key_is_for_one_refund(
    client: FlaskClient, container: Container, scenario: StripeScenario, staff: dict[str, str]
) -> None:
    given(scenario)
    key = new_idempotency_key()
    send_back(client, container, staff, key=key, amount=100)
    assert_problem(send_back(client, container, staff, key=key, amount=101), 422, "idempotency_key_reused")
    no_key = client.post(f"/v1/admin/payments/{the_payment(container).id}/refund", headers=staff, json={})
    assert_problem(no_key, 400, "idempotency_key_required")
    unknown = client.post(
        f"/v1/admin/payments/{uuid.uuid4()}/refund",
        headers=staff | {"Idempotency-Key": new_idempotency_key()},
        json={},
    )
    assert_problem(unknown, 404, "payment_not_found")


def test_a_refund_that_stripe_was_too_busy_for_is_finished_by_the_same_request(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, staff: dict[str, str]
) -> None:
    given(scenario)
    key = new_idempotency_key()
    stripe.faults.reset("POST /v1/refunds", after_effect=True, times=5)
    assert_problem(send_back(client, container, staff, key=key), 503, "payments_unavailable")
    stripe.faults.clear()
    container.clock.advance(minutes=10)
    assert send_back(client, container, staff, key=key).json["status"] == RefundStatus.SUCCEEDED
    assert len(stripe.account.all("refund")) == 1


def test_staff_end_a_pledge_once_and_its_reader_is_told(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, staff: dict[str, str]
) -> None:
    pledge = given(scenario, Frequency.MONTHLY)
    for _ in range(2):
        ended = client.post(f"/v1/admin/pledges/{pledge}/cancel", headers=staff)
        assert (ended.status_code, ended.json["status"]) == (200, "cancelled")
    scenario.deliver_webhooks(*stripe.events)
    assert "parked" not in scenario.run_event_job()
    assert scenario.books(pledge)["pledge"]["status"] == PledgeStatus.CANCELLED
    with container.database.read_only() as session:
        said = session.scalars(select(AuditEntry.action).where(AuditEntry.action == "cancel_pledge")).all()
    assert len(said) == 2


def test_a_gift_that_does_not_recur_cannot_be_ended(
    client: FlaskClient, scenario: StripeScenario, staff: dict[str, str]
) -> None:
    pledge = given(scenario)
    assert_problem(client.post(f"/v1/admin/pledges/{pledge}/cancel", headers=staff), 409, "illegal_move")


def test_an_event_that_contradicts_the_books_is_parked_with_its_reason_and_applied_again(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, staff: dict[str, str]
) -> None:
    opened = scenario.create_checkout(Frequency.ONCE, amount=500)
    with container.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE pledges SET currency = 'EUR'")
    stripe.pay(scenario.session_of(opened), email=READER)
    scenario.deliver_webhooks(*stripe.events)
    assert scenario.run_event_job()["parked"] == 1
    [event] = get_json(client, staff, "/v1/admin/events", status="parked")["items"]
    assert event["reason"] == "The pledge is in EUR, the payment in USD."
    assert event["pledge"] == str(opened.id)
    apply = f"/v1/admin/events/{event['id']}/apply"
    assert client.post(apply, headers=staff).json["status"] == EventStatus.PARKED
    with container.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE pledges SET currency = 'USD'")
    assert client.post(apply, headers=staff).json["status"] == EventStatus.APPLIED
    assert_problem(client.post(apply, headers=staff), 409, "illegal_move")
    assert_problem(client.post(f"/v1/admin/events/{uuid.uuid4()}/apply", headers=staff), 404, "event_not_found")
    assert scenario.books(opened.id)["pledge"]["status"] == PledgeStatus.COMPLETED


def test_an_erased_reader_is_in_no_event_any_more(container: Container, scenario: StripeScenario) -> None:
    given(scenario)
    with container.database.transaction() as session:
        assert session.scalars(select(GatewayEvent.payload).where(GatewayEvent.pledge_id.is_not(None))).all()
        erase_supporter(session, READER, now=container.clock())
    with container.database.read_only() as session:
        kept = session.scalars(select(GatewayEvent.payload).where(GatewayEvent.payload.is_not(None))).all()
    assert not [payload for payload in kept if READER in payload]
