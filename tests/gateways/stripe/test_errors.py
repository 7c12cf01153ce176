"""When Stripe is down, slow, or refuses us: said in the domain's words, within ten seconds, then left alone."""

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
READ_SECONDS_OF_A_READER = 3.0
MOST_SECONDS = 10


def another() -> dict:
    """Return what makes an order one of another pledge."""
    return {"pledge_id": uuid.uuid4()}


def calls(double: FakeStripe) -> int:
    return double.faults.calls[SESSIONS]


def test_a_reader_waits_less_than_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from service.gateways.stripe import client

    assert client.READ_SECONDS == READ_SECONDS_OF_A_READER
    pause_of_the_library = 0.5
    tries = 1 + RETRIES
    assert tries * (CONNECT_SECONDS + client.READ_SECONDS) + RETRIES * pause_of_the_library < MOST_SECONDS


@pytest.mark.usefixtures("in_a_hurry")
def test_silence_is_tried_twice_and_then_given_up(gateway: StripeGateway, double: FakeStripe) -> None:
    double.faults.time_out(SESSIONS, times=2)
    began = time.monotonic()
    with pytest.raises(GatewayUnavailable):
        gateway.create_checkout(checkout_params())
    assert calls(double) == 2
    # A second each and the half second between, and not until the double says something after all.
    assert 2.0 < time.monotonic() - began < 30


@pytest.mark.usefixtures("in_a_hurry")
def test_a_lost_answer_is_asked_for_again_and_no_second_checkout_made(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    double.faults.time_out(SESSIONS, after_effect=True)
    opened = gateway.create_checkout(checkout_params())
    assert [one["id"] for one in double.account.all("checkout.session")] == [opened.reference]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_fault_of_stripes_is_unavailable(gateway: StripeGateway, double: FakeStripe, status: int) -> None:
    double.faults.respond(status, SESSIONS, times=2)
    with pytest.raises(GatewayUnavailable):
        gateway.create_checkout(checkout_params())


def test_a_refused_connection_is_unavailable(gateway: StripeGateway, double: FakeStripe) -> None:
    double.close()
    with pytest.raises(GatewayUnavailable):
        gateway.create_checkout(checkout_params())
    double.open()


def test_a_key_that_is_refused_is_unavailable_and_said_loudly_without_the_key(
    account: StripeSettings, double: FakeStripe, clock: FakeClock
) -> None:
    wrong = StripeSettings(secret_key="sk_test_wrong_key_0000", webhook_secrets=(), api_base=account.api_base)
    gateway = StripeGateway(StripeApiClient(wrong, clock), wrong)
    with structlog.testing.capture_logs() as lines, pytest.raises(GatewayUnavailable) as refused:
        gateway.create_checkout(checkout_params())
    (line,) = lines
    assert (line["log_level"], line["event"], line["operation"]) == (
        "error",
        "stripe_auth_failed",
        "create_checkout_session",
    )
    assert line["status"] == 401
    assert "wrong_key" not in f"{line} {refused.value} {refused.value.__cause__}"
    # Nobody else tries for five minutes, since it stays so until somebody looks.
    clock.now += OPERATOR_BACKOFF / 2
    with pytest.raises(GatewayUnavailable, match="left alone"):
        gateway.create_checkout(checkout_params())


def test_a_right_that_the_key_lacks_does_not_close_the_checkout(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    double.faults.respond(403, "POST /v1/billing_portal/sessions")
    with structlog.testing.capture_logs() as lines, pytest.raises(GatewayUnavailable):
        gateway.create_payment_method_session("cus_any", "sub_any", back_url="https://news.example", lang="en")
    assert [(line["log_level"], line["operation"]) for line in lines] == [("error", "create_portal_session")]
    assert gateway.create_checkout(checkout_params()).url


def test_stripe_is_left_alone_after_three_failures_and_tried_by_one_after_a_pause(
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
    assert gateway.create_checkout(checkout_params(**another())).url


def test_a_refusal_shows_that_stripe_is_well(gateway: StripeGateway, double: FakeStripe) -> None:
    for _ in range(FAILURE_THRESHOLD + 1):
        double.faults.respond(500, SESSIONS, times=2)
        with pytest.raises(GatewayUnavailable):
            gateway.create_checkout(checkout_params(**another()))
        with pytest.raises(GatewayRejected):
            gateway.create_checkout(checkout_params(amount=1, **another()))
    assert gateway.create_checkout(checkout_params(**another())).url


def test_a_refusal_says_nothing_that_was_sent(gateway: StripeGateway, double: FakeStripe) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(GatewayRejected) as refused:
        gateway.create_payment_method_session(
            "cus_of_ada@news.example", "sub_any", back_url="https://news.example", lang="en"
        )
    assert "ada@" not in f"{lines} {refused.value}"
    assert "resource_missing" in str(refused.value)


def test_the_library_tells_stripe_nothing_of_this_machine(gateway: StripeGateway) -> None:
    import stripe

    assert stripe.enable_telemetry is False
    assert stripe.app_info is not None
    assert stripe.app_info["name"] == "Mainstay"
