"""How the double answers at all: keys, errors, idempotency, pages, expansion, and what it was told to do wrong."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe as library
from stripe import AuthenticationError, IdempotencyError, InvalidRequestError, RequestsClient, StripeClient

from tests.stripe_double import FakeStripe
from tests.stripe_double.scenarios import (
    open_subscription,
    payment_session_params,
    subscription_session_params,
)

SESSIONS = "POST /v1/checkout/sessions"
KEY = {"idempotency_key": "pledge-1"}


def test_another_key_is_refused(double: FakeStripe) -> None:
    other = StripeClient("sk_test_another", base_addresses={"api": double.url})
    with pytest.raises(AuthenticationError) as refused:
        other.v1.events.list()
    assert refused.value.http_status == 401
    assert "sk_test_another" not in str(refused.value)


def test_an_error_has_stripe_s_shape(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        stripe.v1.charges.retrieve("ch_nothing")
    error = refused.value
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "id")
    assert error.user_message == "No such charge: 'ch_nothing'"
    assert error.request_id.startswith("req_")


def test_a_url_that_stripe_does_not_know_is_refused(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError, match="Unrecognized request URL"):
        stripe.v1.coupons.list()


def test_the_same_key_and_parameters_get_the_first_answer(double: FakeStripe, stripe: StripeClient) -> None:
    first = stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    again = stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(double.account.all("checkout.session")) == 1
    assert double.faults.calls[SESSIONS] == 2


def test_the_same_key_with_other_parameters_is_refused(stripe: StripeClient) -> None:
    stripe.v1.checkout.sessions.create(params=payment_session_params(amount=500), options=KEY)
    with pytest.raises(IdempotencyError) as refused:
        stripe.v1.checkout.sessions.create(params=payment_session_params(amount=501), options=KEY)
    assert refused.value.http_status == 400


def test_a_key_is_forgotten_after_a_day(double: FakeStripe, stripe: StripeClient) -> None:
    first = stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    double.clock.advance(hours=24)
    assert stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).id != first.id


def test_what_was_refused_for_its_parameters_keeps_no_key(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError):
        stripe.v1.checkout.sessions.create(params=payment_session_params(amount=1), options=KEY)
    assert (
        stripe.v1.checkout.sessions.create(params=payment_session_params(amount=500), options=KEY).status == "open"
    )


def test_a_refusal_of_what_was_begun_is_kept_with_its_key(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params(amount=500))
    charge = double.pay(session.id)["id"]
    double.refund(charge)
    asked = {"params": {"charge": charge}, "options": {"idempotency_key": "refund-1"}}
    for _ in range(2):
        with pytest.raises(InvalidRequestError) as refused:
            stripe.v1.refunds.create(**asked)
        assert refused.value.code == "charge_already_refunded"
    assert refused.value.headers["Idempotent-Replayed"] == "true"


def test_a_key_that_is_in_use_is_a_conflict(double: FakeStripe, stripe: StripeClient) -> None:
    barrier = double.faults.hold(SESSIONS)
    answers = []
    first = threading.Thread(
        target=lambda: answers.append(
            stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
        )
    )
    first.start()
    assert barrier.reached.wait(5)
    # The library has no class of its own for a 409, and retries it when it may.
    with pytest.raises(library.APIError) as refused:
        stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert (refused.value.http_status, refused.value.error.code) == (409, "idempotency_key_in_use")
    barrier.release()
    first.join()
    assert answers[0].id == stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).id


def test_a_list_is_read_page_by_page(stripe: StripeClient) -> None:
    made = [stripe.v1.checkout.sessions.create(params=payment_session_params()).id for _ in range(5)]
    newest_first = made[::-1]
    first = stripe.v1.checkout.sessions.list(params={"limit": 2})
    assert ([found.id for found in first.data], first.has_more) == (newest_first[:2], True)
    rest = stripe.v1.checkout.sessions.list(params={"limit": 3, "starting_after": made[3]})
    assert ([found.id for found in rest.data], rest.has_more) == (newest_first[2:], False)
    back = stripe.v1.checkout.sessions.list(params={"limit": 2, "ending_before": made[1]})
    assert ([found.id for found in back.data], back.has_more) == (newest_first[1:3], True)
    everything = stripe.v1.checkout.sessions.list(params={"limit": 2}).auto_paging_iter()
    assert [found.id for found in everything] == newest_first
    with pytest.raises(InvalidRequestError, match="between 1 and 100"):
        stripe.v1.checkout.sessions.list(params={"limit": 101})


def test_events_are_listed_newest_first_since_a_moment_for_thirty_days(
    double: FakeStripe, stripe: StripeClient
) -> None:
    of = open_subscription(double, stripe)
    began = int(double.clock().timestamp())
    double.renew(of)
    recent = stripe.v1.events.list(params={"created": {"gte": began + 1}, "limit": 100}).data
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


def test_an_event_is_named_with_its_version_and_the_request_behind_it(
    double: FakeStripe, stripe: StripeClient
) -> None:
    charge = double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    assert double.events[-1]["request"] == {"id": None, "idempotency_key": None}
    stripe.v1.refunds.create(params={"charge": charge["id"]}, options={"idempotency_key": "refund-1"})
    event = double.events[-1]
    assert event["type"] == "charge.refunded"
    assert event["request"]["idempotency_key"] == "refund-1"
    assert (event["api_version"], event["livemode"]) == (library.api_version, False)
    assert event["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}


def test_what_cannot_be_expanded_is_refused(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=subscription_session_params())
    assert stripe.v1.checkout.sessions.retrieve(session.id, params={"expand": ["customer"]}).customer is None
    with pytest.raises(InvalidRequestError, match="cannot be expanded"):
        stripe.v1.checkout.sessions.retrieve(session.id, params={"expand": ["pledge"]})


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_call_times_out_before_or_after_its_effect(double: FakeStripe, after_effect: bool) -> None:
    hasty = double.client(http_client=RequestsClient(timeout=0.2))
    double.faults.time_out(SESSIONS, after_effect=after_effect)
    with pytest.raises(library.APIConnectionError):
        hasty.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert len(double.account.all("checkout.session")) == after_effect
    again = hasty.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert ("Idempotent-Replayed" in again.last_response.headers) == after_effect
    assert len(double.account.all("checkout.session")) == 1


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_connection_is_reset_before_or_after_the_effect(
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
def test_an_error_is_answered_once(double: FakeStripe, stripe: StripeClient, status: int, kind: type) -> None:
    double.faults.respond(status, SESSIONS)
    with pytest.raises(kind) as refused:
        stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert refused.value.http_status == status
    assert double.account.all("checkout.session") == []
    assert stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).status == "open"


def test_stripe_s_own_500_is_kept_with_the_key_and_a_503_of_the_road_is_not(
    double: FakeStripe, stripe: StripeClient
) -> None:
    double.faults.respond(503, SESSIONS, after_effect=True)
    with pytest.raises(library.APIError):
        stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY)
    assert stripe.v1.checkout.sessions.create(params=payment_session_params(), options=KEY).status == "open"
    double.faults.respond(500, SESSIONS, after_effect=True)
    for _ in range(2):
        with pytest.raises(library.APIError) as refused:
            stripe.v1.checkout.sessions.create(
                params=payment_session_params(), options={"idempotency_key": "pledge-2"}
            )
    assert refused.value.headers["Idempotent-Replayed"] == "true"


def test_the_library_s_own_retry_is_answered_with_the_first_effect(double: FakeStripe) -> None:
    patient = double.client(max_network_retries=1)
    double.faults.reset(SESSIONS, after_effect=True)
    session = patient.v1.checkout.sessions.create(params=payment_session_params())
    assert session.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(double.account.all("checkout.session")) == 1


def test_a_closed_door_refuses_and_opens_again_with_all_it_knew(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params())
    began = time.monotonic()
    double.close()
    with pytest.raises(library.APIConnectionError):
        double.client().v1.checkout.sessions.retrieve(session.id)
    double.open()
    assert stripe.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert time.monotonic() - began < 10


def test_fifty_callers_with_one_key_make_one_session(double: FakeStripe) -> None:
    patient = double.client(max_network_retries=4)
    with ThreadPoolExecutor(50) as pool:
        asked = [
            pool.submit(patient.v1.checkout.sessions.create, params=payment_session_params(), options=KEY)
            for _ in range(50)
        ]
        made = {answer.result().id for answer in asked}
    assert made == {found["id"] for found in double.account.all("checkout.session")}
    assert len(made) == 1
