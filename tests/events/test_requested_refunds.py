"""Refunds requested while Stripe does not answer: made once, superseded, adopted, listed and withdrawn."""

import datetime
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from schemas.enums import Frequency, PaymentStatus, RefundStatus
from service.container import Container
from service.db.models.admin import AuditEntry
from service.db.models.payment import Payment, Refund
from service.domain.payments.recovery import complete_pending_operations
from service.domain.payments.refunds import LEASE
from tests.api.client import assert_problem, auth_headers, get_json, new_idempotency_key
from tests.events.stripe_fixture import StripeScenario
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson

POST_REFUND = "POST /v1/refunds"
REFUNDS = "/v1/admin/refunds"
OUTAGE = "Stripe does not answer right now. This refund will be made when Stripe answers."


@pytest.fixture
def auth(container: Container) -> dict[str, str]:
    return auth_headers(container, "read", "manage")


@pytest.fixture
def frequency() -> Frequency:
    return Frequency.ONCE


@pytest.fixture
def charge(frequency: Frequency, scenario: StripeScenario) -> StripeJson:
    """Return the charge of a pledge of $10 whose payment is booked."""
    session = scenario.session_of(scenario.create_checkout(frequency, amount=1000))
    paid = scenario.stripe.pay(session, email="ada@news.example")
    deliver(scenario)
    return paid


@pytest.fixture
def key() -> str:
    return new_idempotency_key()


def deliver(scenario: StripeScenario) -> None:
    scenario.deliver_webhooks(*scenario.stripe.events)
    scenario.run_until_idle()


def payment(container: Container) -> Payment:
    with container.database.read_only() as session:
        return session.scalars(select(Payment)).one()


def request_refund(
    client: FlaskClient, container: Container, auth: dict[str, str], key: str, amount: int = 400
) -> TestResponse:
    url = f"/v1/admin/payments/{payment(container).id}/refund"
    return client.post(url, headers=auth | {"Idempotency-Key": key}, json={"amount": amount})


def requested_during_outage(
    client: FlaskClient, container: Container, stripe: FakeStripe, auth: dict[str, str], key: str
) -> str:
    """Request a refund of $4 while Stripe is down; return its id after Stripe is up again."""
    stripe.close()
    response = request_refund(client, container, auth, key)
    stripe.open()
    assert response.status_code == 202
    return str(response.json["id"])


def run_job_later(container: Container, *, later: datetime.timedelta = datetime.timedelta(minutes=10)) -> dict:
    container.clock.now += later
    return complete_pending_operations(
        container.database.transaction, container.gateway, urls=container.urls, clock=container.clock
    )


def stored(container: Container, refund_id: str) -> Refund:
    with container.database.read_only() as session:
        return session.get_one(Refund, uuid.UUID(refund_id))


def made_at_stripe(stripe: FakeStripe) -> list[int]:
    return [refund["amount"] for refund in stripe.account.all("refund")]


@pytest.mark.usefixtures("charge")
@pytest.mark.parametrize("frequency", [Frequency.ONCE, Frequency.MONTHLY])
def test_refund_requested_during_an_outage_is_answered_and_made_once(
    client: FlaskClient, container: Container, stripe: FakeStripe, auth: dict[str, str], key: str
) -> None:
    stripe.close()
    answers = [request_refund(client, container, auth, key) for _ in range(2)]
    stripe.open()
    for answer in answers:
        assert (answer.status_code, answer.json["status"], answer.json["amount"]) == (202, "requested", 400)
        assert answer.json["detail"] == OUTAGE
        assert answer.json["id"] == answers[0].json["id"]
    assert run_job_later(container) == {"refunds": 1}
    again = request_refund(client, container, auth, key)
    assert (again.status_code, again.json["status"]) == (200, "succeeded")
    assert again.json["id"] == answers[0].json["id"]
    assert again.json["detail"] is None
    assert run_job_later(container) == {}
    assert made_at_stripe(stripe) == [400]


@pytest.mark.parametrize(
    ("frequency", "amount", "is_delivered"),
    [
        (Frequency.ONCE, 400, True),
        (Frequency.ONCE, 300, False),
        (Frequency.ONCE, 1000, True),
        (Frequency.MONTHLY, 400, False),
        (Frequency.MONTHLY, 1000, False),
    ],
)
def test_refund_in_the_dashboard_meanwhile_supersedes_the_requested_one(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
    amount: int,
    *,
    is_delivered: bool,
) -> None:
    refund_id = requested_during_outage(client, container, stripe, auth, key)
    container.clock.now += datetime.timedelta(minutes=5)
    stripe.refund(charge["id"], amount)
    if is_delivered:
        deliver(scenario)
    assert run_job_later(container) == {"refused": 1}
    assert made_at_stripe(stripe) == [amount]
    refund = stored(container, refund_id)
    assert (refund.status, refund.gateway_reference) == (RefundStatus.FAILED, None)
    assert refund.reason == (
        f"Another refund of {amount / 100:.2f} USD was made at Stripe meanwhile. "
        "Request it again if both are meant."
    )
    # The dashboard's refund is in the books before its event arrives.
    status = PaymentStatus.REFUNDED if amount == 1000 else PaymentStatus.PARTIALLY_REFUNDED
    assert payment(container).status == status
    assert run_job_later(container) == {}
    assert_problem(request_refund(client, container, auth, key), 409, "order_refused", says="Another refund")
    if amount != 1000:
        both = request_refund(client, container, auth, new_idempotency_key())
        assert (both.status_code, both.json["status"]) == (200, "succeeded")
    deliver(scenario)
    assert sum(made_at_stripe(stripe)) == (1000 if amount == 1000 else amount + 400)


def test_case_87_is_not_paid_twice_where_stripe_does_not_list_the_refund(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
) -> None:
    refund_id = requested_during_outage(client, container, stripe, auth, key)
    container.clock.now += datetime.timedelta(minutes=5)
    stripe.refund(charge["id"], 400)
    stripe.faults.respond(404, "GET /v1/refunds", times=9)
    scenario.deliver_webhooks(*[event for event in stripe.events if event["type"] == "charge.refunded"])
    scenario.run_until_idle()
    run_job_later(container)
    assert made_at_stripe(stripe) == [400]
    assert "Another refund of 4.00 USD" in str(stored(container, refund_id).reason)


def test_known_refund_in_the_dashboard_does_not_supersede(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
) -> None:
    stripe.refund(charge["id"], 300)
    deliver(scenario)
    requested_during_outage(client, container, stripe, auth, key)
    assert run_job_later(container) == {"refunds": 1}
    assert made_at_stripe(stripe) == [300, 400]


def test_unknown_refund_in_the_dashboard_supersedes_a_late_one_whatever_the_clocks_say(
    client: FlaskClient,
    container: Container,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
) -> None:
    stripe.refund(charge["id"], 300)
    # Our clock is ahead of Stripe's.
    container.clock.now += datetime.timedelta(minutes=5)
    requested_during_outage(client, container, stripe, auth, key)
    assert run_job_later(container) == {"refused": 1}
    assert made_at_stripe(stripe) == [300]


@pytest.mark.parametrize("earlier", [300, 700])
def test_refund_in_the_dashboard_before_the_request_counts_against_what_is_left(
    client: FlaskClient,
    container: Container,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
    earlier: int,
) -> None:
    stripe.refund(charge["id"], earlier)
    container.clock.now += datetime.timedelta(minutes=5)
    answer = request_refund(client, container, auth, key)
    if earlier == 300:
        assert (answer.status_code, answer.json["status"]) == (200, "succeeded")
    else:
        says = "Only 3.00 USD of this payment is left to refund."
        assert_problem(answer, 409, "order_refused", says=says)
    assert made_at_stripe(stripe) == ([300, 400] if earlier == 300 else [700])


def test_other_refund_that_failed_does_not_supersede(
    client: FlaskClient,
    container: Container,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
) -> None:
    requested_during_outage(client, container, stripe, auth, key)
    container.clock.now += datetime.timedelta(minutes=5)
    stripe.fail_refund(stripe.refund(charge["id"], 400)["id"])
    assert run_job_later(container) == {"refunds": 1}
    assert [refund["status"] for refund in stripe.account.all("refund")] == ["failed", "succeeded"]


@pytest.mark.usefixtures("charge")
def test_two_requested_refunds_are_both_made(
    client: FlaskClient, container: Container, stripe: FakeStripe, auth: dict[str, str]
) -> None:
    for key in (new_idempotency_key(), new_idempotency_key()):
        requested_during_outage(client, container, stripe, auth, key)
    assert run_job_later(container) == {"refunds": 2}
    assert made_at_stripe(stripe) == [400, 400]


def test_disputed_payment_is_not_refunded_later(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
) -> None:
    refund_id = requested_during_outage(client, container, stripe, auth, key)
    stripe.open_dispute(charge["id"])
    deliver(scenario)
    assert run_job_later(container) == {"refused": 1}
    assert made_at_stripe(stripe) == []
    assert stored(container, refund_id).reason == "This payment is disputed, so it cannot be refunded."


@pytest.mark.parametrize("in_dashboard_too", [True, False])
def test_refund_whose_answer_was_lost_is_adopted(
    client: FlaskClient,
    container: Container,
    stripe: FakeStripe,
    auth: dict[str, str],
    charge: StripeJson,
    key: str,
    *,
    in_dashboard_too: bool,
) -> None:
    stripe.faults.reset(POST_REFUND, after_effect=True)
    answer = request_refund(client, container, auth, key)
    assert (answer.status_code, answer.json["status"]) == (202, "requested")
    if in_dashboard_too:
        container.clock.now += datetime.timedelta(minutes=5)
        stripe.refund(charge["id"], 300)
    assert run_job_later(container) == {"refunds": 1}
    assert stored(container, answer.json["id"]).status == RefundStatus.SUCCEEDED
    assert made_at_stripe(stripe) == ([400, 300] if in_dashboard_too else [400])


@pytest.mark.usefixtures("charge")
def test_pending_refund_of_stripe_is_stored_as_pending(
    client: FlaskClient,
    container: Container,
    scenario: StripeScenario,
    stripe: FakeStripe,
    auth: dict[str, str],
    key: str,
) -> None:
    stripe.settings.pending_refunds = True
    answer = request_refund(client, container, auth, key, amount=1000)
    assert (answer.status_code, answer.json["status"]) == (200, "pending")
    assert payment(container).status == PaymentStatus.SUCCEEDED
    # Its amount is not refundable again.
    assert_problem(request_refund(client, container, auth, new_idempotency_key(), 1), 422, "refund_too_large")
    stripe.fail_refund(answer.json["gateway_reference"])
    deliver(scenario)
    refund = stored(container, answer.json["id"])
    assert refund.status == RefundStatus.FAILED
    assert refund.reason == "The reader's bank did not accept this refund (expired or canceled card)."
    assert request_refund(client, container, auth, new_idempotency_key(), 1).status_code == 200


@pytest.mark.usefixtures("charge")
def test_requested_refunds_are_listed_and_withdrawn(
    client: FlaskClient, container: Container, stripe: FakeStripe, auth: dict[str, str], key: str
) -> None:
    first = requested_during_outage(client, container, stripe, auth, key)
    second = requested_during_outage(client, container, stripe, auth, new_idempotency_key())
    page = get_json(client, auth, REFUNDS, status="requested", limit=1)
    assert [item["id"] for item in page["items"]] == [second]
    rest = get_json(client, auth, REFUNDS, status="requested", limit=1, cursor=page["next_cursor"])
    assert ([item["id"] for item in rest["items"]], rest["next_cursor"]) == ([first], None)
    metrics = client.get("/metrics", headers=auth).text
    assert 'mainstay_refunds{status="requested"} 2.0' in metrics
    calls = stripe.faults.calls.total()
    for _ in range(2):
        assert client.delete(f"{REFUNDS}/{first}", headers=auth).status_code == 204
    # Nothing was sent yet, so nothing is looked up, and Stripe may be down.
    assert stripe.faults.calls.total() == calls
    assert [item["id"] for item in get_json(client, auth, REFUNDS, status="withdrawn")["items"]] == [first]
    assert run_job_later(container) == {"refunds": 1}
    assert made_at_stripe(stripe) == [400]
    assert_problem(client.delete(f"{REFUNDS}/{second}", headers=auth), 409, "refund_already_made")
    assert_problem(client.delete(f"{REFUNDS}/{uuid.uuid4()}", headers=auth), 404, "refund_not_found")
    assert_problem(request_refund(client, container, auth, key), 409, "order_refused", says="withdrawn")
    with container.database.read_only() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "withdraw_refund")).all()
    assert {"refund": first} in [entry.details for entry in entries]


@pytest.mark.usefixtures("charge")
def test_withdrawn_refund_leaves_its_amount_refundable(
    client: FlaskClient, container: Container, stripe: FakeStripe, auth: dict[str, str], key: str
) -> None:
    refund_id = requested_during_outage(client, container, stripe, auth, key)
    too_much = request_refund(client, container, auth, new_idempotency_key(), 1000)
    assert_problem(too_much, 422, "refund_too_large")
    client.delete(f"{REFUNDS}/{refund_id}", headers=auth)
    assert request_refund(client, container, auth, new_idempotency_key(), 1000).status_code == 200


@pytest.mark.usefixtures("charge")
@pytest.mark.parametrize("is_made", [True, False])
def test_withdrawal_looks_for_a_refund_whose_call_failed(
    client: FlaskClient,
    container: Container,
    stripe: FakeStripe,
    auth: dict[str, str],
    key: str,
    *,
    is_made: bool,
) -> None:
    stripe.faults.respond(503, POST_REFUND, after_effect=is_made)
    refund_id = request_refund(client, container, auth, key).json["id"]
    response = client.delete(f"{REFUNDS}/{refund_id}", headers=auth)
    assert response.status_code == (409 if is_made else 204)
    assert stored(container, refund_id).status == (RefundStatus.SUCCEEDED if is_made else RefundStatus.WITHDRAWN)
    run_job_later(container)
    assert made_at_stripe(stripe) == [400] * is_made


@pytest.mark.usefixtures("charge")
def test_refund_is_not_withdrawn_while_its_call_may_be_under_way(
    client: FlaskClient, container: Container, stripe: FakeStripe, auth: dict[str, str], key: str
) -> None:
    stripe.faults.reset(POST_REFUND)
    refund_id = request_refund(client, container, auth, key).json["id"]
    url = f"{REFUNDS}/{refund_id}"
    assert_problem(client.delete(url, headers=auth), 409, "refund_already_made", says="right now")
    assert run_job_later(container, later=LEASE / 2) == {}
    container.clock.now += LEASE
    stripe.close()
    assert_problem(client.delete(url, headers=auth), 503, "payments_unavailable")
    stripe.open()
    container.clock.now += LEASE
    assert client.delete(url, headers=auth).status_code == 204
    assert run_job_later(container) == {}
    assert made_at_stripe(stripe) == []


@pytest.mark.usefixtures("charge")
def test_withdrawal_and_listing_need_their_scopes(
    client: FlaskClient, container: Container, stripe: FakeStripe, auth: dict[str, str], key: str
) -> None:
    refund_id = requested_during_outage(client, container, stripe, auth, key)
    reader = auth_headers(container, "read")
    assert client.delete(f"{REFUNDS}/{refund_id}", headers=reader).status_code == 403
    assert client.get(REFUNDS, headers=reader).status_code == 200
    assert client.get(REFUNDS).status_code == 401
