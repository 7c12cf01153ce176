"""Errors of Stripe: timeouts, outages and rejections as domain errors, retries and the circuit breaker."""

import time
import uuid

import pytest
import structlog

from service.domain.circuit_breaker import INITIAL_BACKOFF, OPERATOR_BACKOFF
from service.domain.ports import GatewayRejected, GatewayUnavailable
from service.gateways.stripe import StripeApiClient, StripeGateway
from service.gateways.stripe.client import CONNECT_SECONDS, FAILURE_THRESHOLD, RETRIES
from service.settings import StripeSettings
from tests.clock import FakeClock
from tests.gateways.stripe.factories import checkout_params
from tests.stripe_double import FakeStripe

SESSIONS = "POST /v1/checkout/sessions"
EXPECTED_READ_SECONDS = 3.0
MAX_SECONDS = 10


def another_pledge() -> dict:
    """Return a change that makes the parameters those of another pledge."""
    return {"pledge_id": uuid.uuid4()}


def call_count(double: FakeStripe) -> int:
    return double.faults.calls[SESSIONS]


def test_call_with_retry_ends_within_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from service.gateways.stripe import client

    assert client.READ_SECONDS == EXPECTED_READ_SECONDS
    library_backoff = 0.5
    attempts = 1 + RETRIES
    assert attempts * (CONNECT_SECONDS + client.READ_SECONDS) + RETRIES * library_backoff < MAX_SECONDS


@pytest.mark.usefixtures("short_timeout")
def test_timeout_is_retried_once_and_then_unavailable(gateway: StripeGateway, double: FakeStripe) -> None:
    double.faults.time_out(SESSIONS, times=2)
    began = time.monotonic()
    with pytest.raises(GatewayUnavailable):
        gateway.create_checkout(checkout_params())
    assert call_count(double) == 2
    # One second for each attempt and half a second of backoff; the double would answer much later.
    assert 2.0 < time.monotonic() - began < 30


@pytest.mark.usefixtures("short_timeout")
def test_lost_response_is_retried_without_second_checkout(gateway: StripeGateway, double: FakeStripe) -> None:
    double.faults.time_out(SESSIONS, after_effect=True)
    checkout = gateway.create_checkout(checkout_params())
    assert [session["id"] for session in double.account.all("checkout.session")] == [checkout.reference]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_server_error_or_rate_limit_is_unavailable(
    gateway: StripeGateway, double: FakeStripe, status: int
) -> None:
    double.faults.respond(status, SESSIONS, times=2)
    with pytest.raises(GatewayUnavailable):
        gateway.create_checkout(checkout_params())


def test_connection_error_is_unavailable(gateway: StripeGateway, double: FakeStripe) -> None:
    double.close()
    with pytest.raises(GatewayUnavailable):
        gateway.create_checkout(checkout_params())
    double.open()


def test_rejected_key_is_unavailable_and_logged_as_error_without_the_key(
    account: StripeSettings, double: FakeStripe, clock: FakeClock
) -> None:
    wrong_settings = StripeSettings(
        secret_key="sk_test_wrong_key_0000", webhook_secrets=(), api_base=account.api_base
    )
    gateway = StripeGateway(StripeApiClient(wrong_settings, clock), wrong_settings)
    with structlog.testing.capture_logs() as lines, pytest.raises(GatewayUnavailable) as raised:
        gateway.create_checkout(checkout_params())
    (line,) = lines
    assert (line["log_level"], line["event"], line["operation"]) == (
        "error",
        "stripe_auth_failed",
        "create_checkout_session",
    )
    assert line["status"] == 401
    assert "wrong_key" not in f"{line} {raised.value} {raised.value.__cause__}"
    # The operator must replace the key, so the circuit breaker stays open for the longer backoff.
    clock.now += OPERATOR_BACKOFF / 2
    with pytest.raises(GatewayUnavailable, match="left alone"):
        gateway.create_checkout(checkout_params())


def test_missing_permission_does_not_open_circuit_breaker(gateway: StripeGateway, double: FakeStripe) -> None:
    double.faults.respond(403, "POST /v1/billing_portal/sessions")
    with structlog.testing.capture_logs() as lines, pytest.raises(GatewayUnavailable):
        gateway.create_payment_method_session("cus_any", ["sub_any"], return_url="https://news.example", lang="en")
    assert [(line["log_level"], line["operation"]) for line in lines] == [("error", "create_portal_session")]
    assert gateway.create_checkout(checkout_params()).url


def test_circuit_breaker_opens_after_three_failures_and_probes_after_backoff(
    gateway: StripeGateway, double: FakeStripe, clock: FakeClock
) -> None:
    double.close()
    for _ in range(FAILURE_THRESHOLD):
        with pytest.raises(GatewayUnavailable, match="APIConnectionError"):
            gateway.create_checkout(checkout_params())
    with pytest.raises(GatewayUnavailable, match="left alone"):
        gateway.create_checkout(checkout_params())
    double.open()
    clock.now += INITIAL_BACKOFF
    barrier = double.faults.hold(SESSIONS)
    barrier.release()
    assert gateway.create_checkout(checkout_params()).url
    assert gateway.create_checkout(checkout_params(**another_pledge())).url


def test_rejection_resets_circuit_breaker(gateway: StripeGateway, double: FakeStripe) -> None:
    for _ in range(FAILURE_THRESHOLD + 1):
        double.faults.respond(500, SESSIONS, times=2)
        with pytest.raises(GatewayUnavailable):
            gateway.create_checkout(checkout_params(**another_pledge()))
        with pytest.raises(GatewayRejected):
            gateway.create_checkout(checkout_params(amount=1, **another_pledge()))
    assert gateway.create_checkout(checkout_params(**another_pledge())).url


def test_rejection_message_and_log_contain_no_request_data(gateway: StripeGateway, double: FakeStripe) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(GatewayRejected) as raised:
        gateway.create_payment_method_session(
            "cus_of_ada@news.example", ["sub_any"], return_url="https://news.example", lang="en"
        )
    assert "ada@" not in f"{lines} {raised.value}"
    assert "resource_missing" in str(raised.value)


def test_telemetry_is_disabled(gateway: StripeGateway) -> None:
    import stripe

    assert stripe.enable_telemetry is False
    assert stripe.app_info is not None
    assert stripe.app_info["name"] == "Mainstay"
