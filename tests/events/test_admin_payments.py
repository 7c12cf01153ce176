"""The admin API for money: refund a payment, cancel a pledge, retry a parked event."""

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

EMAIL = "ada@news.example"


@pytest.fixture
def auth(container: Container) -> dict[str, str]:
    return auth_headers(container, "read", "manage")


def paid_pledge(scenario: StripeScenario, frequency: Frequency = Frequency.ONCE) -> uuid.UUID:
    """Create a pledge, pay it and process the events; return its id."""
    checkout = scenario.create_checkout(frequency, amount=500)
    scenario.stripe.pay(scenario.session_of(checkout), email=EMAIL)
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_event_job()
    return checkout.id


def only_payment(container: Container) -> Payment:
    with container.database.read_only() as session:
        return session.scalars(select(Payment)).one()


def refund(
    client: FlaskClient, container: Container, auth: dict[str, str], *, key: str | None = None, **body: int
) -> TestResponse:
    headers = auth | {"Idempotency-Key": key or new_idempotency_key()}
    return client.post(f"/v1/admin/payments/{only_payment(container).id}/refund", headers=headers, json=body)


def test_refund_request_is_idempotent(
    client: FlaskClient, container: Container, scenario: StripeScenario, auth: dict[str, str]
) -> None:
    pledge = paid_pledge(scenario)
    key = new_idempotency_key()
    first, again = (refund(client, container, auth, key=key) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.json == again.json
    assert (first.json["status"], first.json["amount"]) == (RefundStatus.SUCCEEDED, 500)
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.REFUNDED
    scenario.deliver_webhooks(*scenario.stripe.events)
    assert "parked" not in scenario.run_event_job()
    assert count(container, Refund) == len(scenario.stripe.account.all("refund")) == 1
    assert only_payment(container).status == PaymentStatus.REFUNDED


def test_partial_refunds_cannot_exceed_the_payment(
    client: FlaskClient, container: Container, scenario: StripeScenario, auth: dict[str, str]
) -> None:
    pledge = paid_pledge(scenario)
    assert refund(client, container, auth, amount=200).status_code == 200
    assert only_payment(container).status == PaymentStatus.PARTIALLY_REFUNDED
    problem = refund(client, container, auth, amount=301)
    assert_problem(problem, 422, "refund_too_large", field="amount", says="300")
    [row] = get_json(client, auth, "/v1/admin/pledges")["items"]
    assert (row["payments"], row["paid_total"]) == (1, 300)
    assert refund(client, container, auth).json["amount"] == 300
    assert_problem(refund(client, container, auth), 409, "illegal_move")
    [row] = get_json(client, auth, "/v1/admin/pledges")["items"]
    assert (row["payments"], row["paid_total"], row["status"]) == (0, 0, "refunded")
    [payment] = get_json(client, auth, f"/v1/admin/pledges/{pledge}/payments")["items"]
    assert [refund["amount"] for refund in payment["refunds"]] == [200, 300]
    summary = get_json(client, auth, "/v1/admin/summary")
    assert summary["ledger"] == [{"currency": "USD", "received": 500, "refunded": 500, "disputed": 0}]


def test_idempotency_key_is_required_and_bound_to_one_refund(
    client: FlaskClient, container: Container, scenario: StripeScenario, auth: dict[str, str]
) -> None:
    paid_pledge(scenario)
    key = new_idempotency_key()
    refund(client, container, auth, key=key, amount=100)
    assert_problem(refund(client, container, auth, key=key, amount=101), 422, "idempotency_key_reused")
    no_key = client.post(f"/v1/admin/payments/{only_payment(container).id}/refund", headers=auth, json={})
    assert_problem(no_key, 400, "idempotency_key_required")
    unknown = client.post(
        f"/v1/admin/payments/{uuid.uuid4()}/refund",
        headers=auth | {"Idempotency-Key": new_idempotency_key()},
        json={},
    )
    assert_problem(unknown, 404, "payment_not_found")


def test_refund_during_outage_is_completed_by_retry(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, auth: dict[str, str]
) -> None:
    paid_pledge(scenario)
    key = new_idempotency_key()
    stripe.faults.reset("POST /v1/refunds", after_effect=True, times=5)
    requested = refund(client, container, auth, key=key)
    assert (requested.status_code, requested.json["status"]) == (202, RefundStatus.REQUESTED)
    stripe.faults.clear()
    container.clock.advance(minutes=10)
    assert refund(client, container, auth, key=key).json["status"] == RefundStatus.SUCCEEDED
    assert len(stripe.account.all("refund")) == 1


def test_cancelling_a_pledge_is_idempotent_and_audited(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, auth: dict[str, str]
) -> None:
    pledge = paid_pledge(scenario, Frequency.MONTHLY)
    for _ in range(2):
        ended = client.post(f"/v1/admin/pledges/{pledge}/cancel", headers=auth)
        assert (ended.status_code, ended.json["status"]) == (200, "cancelled")
    scenario.deliver_webhooks(*stripe.events)
    assert "parked" not in scenario.run_event_job()
    assert scenario.snapshot(pledge)["pledge"]["status"] == PledgeStatus.CANCELLED
    with container.database.read_only() as session:
        actions = session.scalars(select(AuditEntry.action).where(AuditEntry.action == "cancel_pledge")).all()
    assert len(actions) == 2


def test_one_time_pledge_cannot_be_cancelled(
    client: FlaskClient, scenario: StripeScenario, auth: dict[str, str]
) -> None:
    pledge = paid_pledge(scenario)
    assert_problem(client.post(f"/v1/admin/pledges/{pledge}/cancel", headers=auth), 409, "illegal_move")


def test_contradicting_event_is_parked_with_reason_and_can_be_retried(
    client: FlaskClient, container: Container, scenario: StripeScenario, stripe: FakeStripe, auth: dict[str, str]
) -> None:
    checkout = scenario.create_checkout(Frequency.ONCE, amount=500)
    with container.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE pledges SET currency = 'EUR'")
    stripe.pay(scenario.session_of(checkout), email=EMAIL)
    scenario.deliver_webhooks(*stripe.events)
    assert scenario.run_event_job()["parked"] == 1
    [event] = get_json(client, auth, "/v1/admin/events", status="parked")["items"]
    assert event["reason"] == "The pledge is in EUR, the payment in USD."
    assert event["pledge"] == str(checkout.id)
    apply = f"/v1/admin/events/{event['id']}/apply"
    assert client.post(apply, headers=auth).json["status"] == EventStatus.PARKED
    with container.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE pledges SET currency = 'USD'")
    assert client.post(apply, headers=auth).json["status"] == EventStatus.APPLIED
    assert_problem(client.post(apply, headers=auth), 409, "illegal_move")
    assert_problem(client.post(f"/v1/admin/events/{uuid.uuid4()}/apply", headers=auth), 404, "event_not_found")
    assert scenario.snapshot(checkout.id)["pledge"]["status"] == PledgeStatus.COMPLETED


def test_erasure_removes_event_payloads(container: Container, scenario: StripeScenario) -> None:
    paid_pledge(scenario)
    with container.database.transaction() as session:
        assert session.scalars(select(GatewayEvent.payload).where(GatewayEvent.pledge_id.is_not(None))).all()
        erase_supporter(session, EMAIL, now=container.clock())
    with container.database.read_only() as session:
        payloads = session.scalars(select(GatewayEvent.payload).where(GatewayEvent.payload.is_not(None))).all()
    assert not [payload for payload in payloads if EMAIL in payload]
