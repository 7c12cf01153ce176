"""Pledges through the API and the support page with Stripe: the checkout, and the response when Stripe is down."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.domain.monitoring.summary import record_heartbeat
from service.gateways.stripe.client import FAILURE_THRESHOLD
from service.settings import Settings
from tests.api.client import assert_problem, new_idempotency_key, post_pledge
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.gateways.stripe.factories import SECRET
from tests.stripe_double import KEY, FakeStripe

FORM = {"frequency": "monthly", "other_amount": "5", "key": "an-intent-of-a-reader", "currency": "USD"}
SESSIONS = "POST /v1/checkout/sessions"


@pytest.fixture
def settings(migrated_database: str, double: FakeStripe) -> Settings:
    """Return settings with Stripe as the payment gateway."""
    return settings_for(
        migrated_database,
        GATEWAY="stripe",
        STRIPE_SECRET_KEY=KEY,
        STRIPE_WEBHOOK_SECRET=SECRET,
        STRIPE_API_BASE=double.url,
    )


@pytest.fixture
def stripe_down(request: pytest.FixtureRequest, double: FakeStripe) -> FakeStripe:
    """Make Stripe unavailable in the way that the parameter names."""
    match request.param:
        case "silent":
            request.getfixturevalue("short_timeout")
            double.faults.time_out(SESSIONS, times=2)
        case "refused connection":
            double.close()
        case status:
            double.faults.respond(status, SESSIONS, times=2)
    return double


def test_repeated_pledge_request_creates_one_checkout(client: FlaskClient, double: FakeStripe) -> None:
    key = new_idempotency_key()
    first, again = post_pledge(client, key=key), post_pledge(client, key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    (session,) = double.account.all("checkout.session")
    assert first.json["checkout_url"] == session["url"]
    assert session["metadata"]["mainstay_pledge_id"] == first.json["id"]
    assert session["cancel_url"].startswith("http://desk.test/support/default")
    assert f"pledge={first.json['id']}" in session["success_url"]


@pytest.mark.parametrize("stripe_down", ["silent", 500, 503, 429, "refused connection", 401], indirect=True)
def test_pledge_during_outage_is_503_with_retry_after_and_can_be_retried(
    client: FlaskClient, stripe_down: FakeStripe, clock: FakeClock
) -> None:
    key = new_idempotency_key()
    problem = post_pledge(client, key=key)
    assert_problem(problem, 503, "payments_unavailable")
    assert int(problem.headers["Retry-After"]) > 0
    assert "stripe" not in problem.text.lower()
    # The same request, retried after the outage, completes the same pledge.
    stripe_down.close()
    stripe_down.open()
    stripe_down.faults.clear()
    clock.advance(minutes=6)
    retried = post_pledge(client, key=key)
    assert retried.status_code == 201
    assert "Idempotent-Replayed" not in retried.headers
    assert len(stripe_down.account.all("checkout.session")) == 1


@pytest.mark.usefixtures("short_timeout")
def test_checkout_with_lost_responses_is_found_by_retry(
    client: FlaskClient, double: FakeStripe, clock: FakeClock
) -> None:
    double.faults.time_out(SESSIONS, after_effect=True, times=2)
    key = new_idempotency_key()
    assert_problem(post_pledge(client, key=key), 503, "payments_unavailable")
    retried = post_pledge(client, key=key)
    assert retried.status_code == 201
    (session,) = double.account.all("checkout.session")
    assert retried.json["checkout_url"] == session["url"]


def test_open_circuit_breaker_fails_pledges_without_calling_stripe(
    client: FlaskClient, double: FakeStripe
) -> None:
    double.faults.respond(500, SESSIONS, times=100)
    for _ in range(FAILURE_THRESHOLD):
        post_pledge(client)
    calls = double.faults.calls[SESSIONS]
    assert_problem(post_pledge(client), 503, "payments_unavailable")
    assert double.faults.calls[SESSIONS] == calls


def test_request_rejected_by_stripe_is_503(client: FlaskClient, double: FakeStripe) -> None:
    double.faults.respond(400, SESSIONS)
    problem = post_pledge(client)
    assert_problem(problem, 503, "payments_unavailable")
    assert problem.headers["Retry-After"]


def readiness_checks(client: FlaskClient) -> dict[str, str]:
    response = client.get("/readyz").json
    assert response is not None
    found: dict[str, str] = response["checks"]
    return found


def test_missing_webhook_secret_fails_readiness(
    migrated_database: str, double: FakeStripe, container: Container, client: FlaskClient
) -> None:
    from service.app import create_app
    from service.bootstrap import build_container

    with container.database.transaction() as session:
        record_heartbeat(session, worker=container.worker_id, now=container.clock())
    assert readiness_checks(client)["payments"] == "ok"
    without_secret = settings_for(
        migrated_database, GATEWAY="stripe", STRIPE_SECRET_KEY=KEY, STRIPE_API_BASE=double.url
    )
    other = build_container(without_secret, clock=container.clock)
    found = readiness_checks(create_app(other).test_client())
    assert "STRIPE_WEBHOOK_SECRET" in found["payments"]
    assert {name for name, response in found.items() if response != "ok"} == {"payments"}
    other.database.engine.dispose()


def form_action_policy(client: FlaskClient) -> str:
    response = client.get("/support/default")
    assert response.status_code == 200
    (actions,) = [
        part.strip() for part in response.headers["Content-Security-Policy"].split(";") if "form-action" in part
    ]
    return actions


def test_form_action_policy_allows_only_stripe_origins(client: FlaskClient, double: FakeStripe) -> None:
    assert form_action_policy(client).split() == [
        "form-action",
        "'self'",
        "http://desk.test",
        "https://checkout.stripe.com",
        "https://billing.stripe.com",
        "https://invoice.stripe.com",
        double.url,
    ]


def test_form_post_redirects_to_checkout(client: FlaskClient, double: FakeStripe) -> None:
    response = client.post("/support/default", data=FORM)
    assert response.status_code == 303
    (session,) = double.account.all("checkout.session")
    assert response.headers["Location"] == session["url"]


def test_form_post_during_outage_is_503(client: FlaskClient, double: FakeStripe) -> None:
    double.faults.respond(500, SESSIONS, times=2)
    response = client.post("/support/default", data=FORM)
    assert response.status_code == 503
    assert "stripe.com" not in response.text
