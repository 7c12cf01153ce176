"""The double's API: authentication, errors, idempotency, pagination, expansion and planned faults."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe as library
from stripe import AuthenticationError, IdempotencyError, InvalidRequestError, RequestsClient, StripeClient

from tests.processes import wait_until
from tests.stripe_double import FakeStripe
from tests.stripe_double.scenarios import (
    open_subscription,
    payment_session_params,
    subscription_session_params,
)

SESSIONS = "POST /v1/checkout/sessions"
KEY = {"idempotency_key": "pledge-1"}


def test_invalid_api_key_returns_401(double: FakeStripe) -> None:
    other = StripeClient("sk_test_another", base_addresses={"api": double.url})
    with pytest.raises(AuthenticationError) as raised:
        other.v1.events.list()
    assert raised.value.http_status == 401
    assert "sk_test_another" not in str(raised.value)


def test_error_has_stripe_shape(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        stripe.v1.charges.retrieve("ch_nothing")
    error = raised.value
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "id")
    assert error.user_message == "No such charge: 'ch_nothing'"
    assert error.request_id.startswith("req_")


def test_unknown_url_returns_404(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError, match="Unrecognized request URL"):
        stripe.v1.coupons.list()


def test_idempotency_key_replays_first_response(double: FakeStripe, stripe: StripeClient) -> None:
    first = stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    again = stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(double.account.all("checkout.session")) == 1
    assert double.faults.calls[SESSIONS] == 2


def test_idempotency_key_with_other_parameters_returns_400(stripe: StripeClient) -> None:
    stripe.v1.checkout.sessions.create(params=payment_session_params(amount=500), options=KEY)
    with pytest.raises(IdempotencyError) as raised:
        stripe.v1.checkout.sessions.create(params=payment_session_params(amount=501), options=KEY)
    assert raised.value.http_status == 400


def test_idempotency_key_expires_after_24_hours(double: FakeStripe, stripe: StripeClient) -> None:
    first = stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    double.clock.advance(hours=24)
    assert stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).id != first.id


def test_invalid_parameters_store_no_idempotency_key(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError):
        stripe.v1.checkout.sessions.create(params=payment_session_params(amount=1), options=KEY)
    assert (
        stripe.v1.checkout.sessions.create(params=payment_session_params(amount=500), options=KEY).status == "open"
    )


def test_error_of_executed_request_is_replayed(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params(amount=500))
    charge = double.pay(session.id)["id"]
    double.refund(charge)
    request = {"params": {"charge": charge}, "options": {"idempotency_key": "refund-1"}}
    for _ in range(2):
        with pytest.raises(InvalidRequestError) as raised:
            stripe.v1.refunds.create(**request)
        assert raised.value.code == "charge_already_refunded"
    assert raised.value.headers["Idempotent-Replayed"] == "true"


def test_idempotency_key_in_use_returns_409(double: FakeStripe, stripe: StripeClient) -> None:
    barrier = double.faults.hold(SESSIONS)
    answers = []
    first = threading.Thread(
        target=lambda: answers.append(
            stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
        )
    )
    first.start()
    assert barrier.reached.wait(60)
    # The library has no class of its own for a 409, and retries it when it may.
    with pytest.raises(library.APIError) as raised:
        stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert (raised.value.http_status, raised.value.error.code) == (409, "idempotency_key_in_use")
    barrier.release()
    first.join(60)
    assert answers[0].id == stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).id


def test_lists_are_paginated(stripe: StripeClient) -> None:
    created_ids = [stripe.v1.checkout.sessions.create(params=payment_session_params()).id for _ in range(5)]
    newest_first = created_ids[::-1]
    first = stripe.v1.checkout.sessions.list(params={"limit": 2})
    assert ([found.id for found in first.data], first.has_more) == (newest_first[:2], True)
    rest = stripe.v1.checkout.sessions.list(params={"limit": 3, "starting_after": created_ids[3]})
    assert ([found.id for found in rest.data], rest.has_more) == (newest_first[2:], False)
    back = stripe.v1.checkout.sessions.list(params={"limit": 2, "ending_before": created_ids[1]})
    assert ([found.id for found in back.data], back.has_more) == (newest_first[1:3], True)
    everything = stripe.v1.checkout.sessions.list(params={"limit": 2}).auto_paging_iter()
    assert [found.id for found in everything] == newest_first
    with pytest.raises(InvalidRequestError, match="between 1 and 100"):
        stripe.v1.checkout.sessions.list(params={"limit": 101})


def test_events_are_listed_newest_first_and_retained_for_30_days(double: FakeStripe, stripe: StripeClient) -> None:
    subscription = open_subscription(double, stripe)
    started_at = int(double.clock().timestamp())
    double.renew(subscription)
    recent = stripe.v1.events.list(params={"created": {"gte": started_at + 1}, "limit": 100}).data
    assert recent[0].id == double.events[-1]["id"]
    assert recent[-1].type == "invoice.upcoming"
    paid = stripe.v1.events.list(params={"types": ["invoice.paid", "charge.refunded"]}).data
    assert {event.type for event in paid} == {"invoice.paid"}
    # The renewal is thirty days after the first payment, to the second; one more and that is gone.
    assert len(paid) == 2
    first = paid[-1].id
    assert stripe.v1.events.retrieve(first).data.object["amount_paid"] == 500
    double.clock.advance(seconds=1)
    with pytest.raises(InvalidRequestError, match="No such event"):
        stripe.v1.events.retrieve(first)


def test_event_has_api_version_and_request(double: FakeStripe, stripe: StripeClient) -> None:
    charge = double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    assert double.events[-1]["request"] == {"id": None, "idempotency_key": None}
    stripe.v1.refunds.create(params={"charge": charge["id"]}, options={"idempotency_key": "refund-1"})
    event = double.events[-1]
    assert event["type"] == "charge.refunded"
    assert event["request"]["idempotency_key"] == "refund-1"
    assert (event["api_version"], event["livemode"]) == (library.api_version, False)
    assert event["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}


def test_expanding_unexpandable_property_returns_400(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=subscription_session_params())
    assert stripe.v1.checkout.sessions.retrieve(session.id, params={"expand": ["customer"]}).customer is None
    with pytest.raises(InvalidRequestError, match="cannot be expanded"):
        stripe.v1.checkout.sessions.retrieve(session.id, params={"expand": ["pledge"]})


@pytest.mark.parametrize("after_effect", [False, True])
def test_timeout_before_or_after_effect(double: FakeStripe, stripe: StripeClient, after_effect: bool) -> None:
    short_timeout = double.client(http_client=RequestsClient(timeout=0.2))
    double.faults.time_out(SESSIONS, after_effect=after_effect)
    with pytest.raises(library.APIConnectionError):
        short_timeout.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    # The effect need not be there by the time that the client gives up.
    wait_until(lambda: len(double.account.all("checkout.session")) == after_effect, what="the effect")
    again = stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert ("Idempotent-Replayed" in again.last_response.headers) == after_effect
    assert len(double.account.all("checkout.session")) == 1


@pytest.mark.parametrize("after_effect", [False, True])
def test_connection_reset_before_or_after_effect(
    double: FakeStripe, stripe: StripeClient, after_effect: bool
) -> None:
    double.faults.reset(SESSIONS, after_effect=after_effect)
    with pytest.raises(library.APIConnectionError, match="reset"):
        stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert len(double.account.all("checkout.session")) == after_effect


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, library.APIError), (503, library.APIError), (429, library.RateLimitError), (401, AuthenticationError)],
)
def test_planned_status_is_returned_once(
    double: FakeStripe, stripe: StripeClient, status: int, kind: type
) -> None:
    double.faults.respond(status, SESSIONS)
    with pytest.raises(kind) as raised:
        stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert raised.value.http_status == status
    assert double.account.all("checkout.session") == []
    assert stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).status == "open"


def test_idempotency_key_stores_500_and_not_503(double: FakeStripe, stripe: StripeClient) -> None:
    double.faults.respond(503, SESSIONS, after_effect=True)
    with pytest.raises(library.APIError):
        stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).status == "open"
    double.faults.respond(500, SESSIONS, after_effect=True)
    for _ in range(2):
        with pytest.raises(library.APIError) as raised:
            stripe.v1.checkout.sessions.create(
                params=payment_session_params(), options={"idempotency_key": "pledge-2"}
            )
    assert raised.value.headers["Idempotent-Replayed"] == "true"


def test_sdk_retry_replays_first_response(double: FakeStripe) -> None:
    retrying = double.client(max_network_retries=1)
    double.faults.reset(SESSIONS, after_effect=True)
    session = retrying.v1.checkout.sessions.create(params=payment_session_params())
    assert session.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(double.account.all("checkout.session")) == 1


def test_closed_server_refuses_connections_and_reopens_with_its_state(
    double: FakeStripe, stripe: StripeClient
) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params())
    started_at = time.monotonic()
    double.close()
    with pytest.raises(library.APIConnectionError):
        double.client().v1.checkout.sessions.retrieve(session.id)
    double.open()
    assert stripe.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert time.monotonic() - started_at < 10


def test_fifty_concurrent_requests_with_one_idempotency_key_create_one_session(double: FakeStripe) -> None:
    retrying = double.client(max_network_retries=4)
    with ThreadPoolExecutor(50) as pool:
        request = [
            pool.submit(retrying.v1.checkout.sessions.create, params=payment_session_params(), options=KEY)
            for _ in range(50)
        ]
        created_ids = {answer.result().id for answer in request}
    assert created_ids == {found["id"] for found in double.account.all("checkout.session")}
    assert len(created_ids) == 1
