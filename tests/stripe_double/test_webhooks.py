"""How events reach somebody: signed, posted, in order, and only where they were asked for."""

import json
import time

import pytest
import requests
from stripe import InvalidRequestError, SignatureVerificationError, StripeClient, Webhook

from tests.processes import free_port, wait_until
from tests.stripe_double import FakeStripe
from tests.stripe_double.scenarios import payment_session_params
from tests.stripe_double.webhooks import WebhookReceiver, WebhookSender, payload_of, signed

SECRET = "whsec_of-the-tests"


def test_a_signature_is_one_that_the_library_believes() -> None:
    payload = b'{"id": "evt_1", "object": "event"}'
    now = time.time()
    assert Webhook.construct_event(payload, signed(payload, SECRET, now), SECRET).id == "evt_1"
    for header in (
        signed(payload, "whsec_of-another", now),
        signed(payload + b" ", SECRET, now),
        signed(payload, SECRET, now - 301),
    ):
        with pytest.raises(SignatureVerificationError):
            Webhook.construct_event(payload, header, SECRET)


def test_each_event_is_posted_once_in_order_before_the_reader_goes_on(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    double.deliver = WebhookSender(webhook_receiver.url, SECRET)
    double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    events = [Webhook.construct_event(body, header, SECRET) for body, header in webhook_receiver.received]
    assert [event.id for event in events] == [event["id"] for event in double.events]
    assert webhook_receiver.received[0][0] == payload_of(double.events[0])
    assert {status for _, status in double.deliver.responses} == {200}


def test_a_failed_delivery_is_noted_and_made_again_when_a_test_says_so(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    double.deliver = WebhookSender(webhook_receiver.url, SECRET, ["checkout.session.*"])
    webhook_receiver.status = 503
    double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    assert double.deliver.responses == [("checkout.session.completed", 503)]
    webhook_receiver.status = 200
    double.resend(double.events[-1], double.events[-1])
    assert len({body for body, _ in webhook_receiver.received}) == 1
    assert [status for _, status in double.deliver.responses] == [503, 200, 200]
    double.deliver = WebhookSender(f"http://127.0.0.1:{free_port()}", SECRET)
    double.resend(double.events[-1])
    assert double.deliver.responses == [("checkout.session.completed", None)]


def test_what_an_api_call_did_is_told_soon_after_its_answer(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    charge = double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    double.deliver_events()
    double.deliver = WebhookSender(webhook_receiver.url, SECRET, ["charge.refunded"])
    stripe.v1.refunds.create(params={"charge": charge["id"]})
    wait_until(lambda: webhook_receiver.received, what="the webhook", seconds=5)
    double.deliver_events()
    assert json.loads(webhook_receiver.received[0][0])["data"]["object"]["id"] == charge["id"]


def test_an_endpoint_is_set_up_and_gets_the_events_that_it_asked_for(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    made = stripe.v1.webhook_endpoints.create(
        params={
            "url": webhook_receiver.url,
            "enabled_events": ["checkout.session.completed"],
            "description": "Mainstay",
        }
    )
    assert made.secret.startswith("whsec_")
    assert "secret" not in stripe.v1.webhook_endpoints.retrieve(made.id)
    assert [found.id for found in stripe.v1.webhook_endpoints.list().data] == [made.id]
    double.deliver = double.deliver_to_endpoints
    double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    ((body, header),) = webhook_receiver.received
    assert f"t={int(double.clock().timestamp())}," in header
    assert header == signed(body, made.secret, double.clock().timestamp())
    stripe.v1.webhook_endpoints.update(made.id, params={"enabled_events": ["charge.refunded"]})
    double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    assert len(webhook_receiver.received) == 1
    assert stripe.v1.webhook_endpoints.delete(made.id).deleted is True
    assert stripe.v1.webhook_endpoints.list().data == []


def test_an_event_that_stripe_does_not_have_is_not_subscribed_to(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError, match="enabled_events"):
        stripe.v1.webhook_endpoints.create(
            params={"url": "https://news.example/hook", "enabled_events": ["pledge.paid"]}
        )
    with pytest.raises(InvalidRequestError, match="Invalid URL"):
        stripe.v1.webhook_endpoints.create(params={"url": "news.example", "enabled_events": ["*"]})


def test_a_reader_pays_on_the_hosted_page_and_the_webhook_comes_before_they_return(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    double.deliver = WebhookSender(webhook_receiver.url, SECRET, ["checkout.session.completed"])
    session = stripe.v1.checkout.sessions.create(params=payment_session_params())
    page = requests.get(session.url, timeout=5)
    assert "Pay" in page.text
    assert 'href="https://news.example/support"' in page.text
    declined = requests.post(session.url, data={"action": "decline", "email": "ada@news.example"}, timeout=5)
    assert "Your card was declined." in declined.text
    paid = requests.post(
        session.url, data={"action": "pay", "email": "ada@news.example"}, timeout=5, allow_redirects=False
    )
    assert (paid.status_code, paid.headers["Location"]) == (
        303,
        f"https://news.example/thanks?session={session.id}",
    )
    assert len(webhook_receiver.received) == 1
    assert "no longer valid" in requests.get(f"{double.url}/c/pay/{session.id}", timeout=5).text
    assert requests.get(f"{double.url}/c/pay/cs_nothing", timeout=5).status_code == 404


def test_a_reader_saves_a_card_in_the_portal_and_returns(double: FakeStripe, stripe: StripeClient) -> None:
    who = stripe.v1.customers.create(params={"email": "ada@news.example"})
    portal = stripe.v1.billing_portal.sessions.create(
        params={"customer": who.id, "return_url": "https://news.example/me"}
    )
    assert "Save card" in requests.get(portal.url, timeout=5).text
    saved = requests.post(portal.url, timeout=5, allow_redirects=False)
    assert (saved.status_code, saved.headers["Location"]) == (303, "https://news.example/me")
    assert double.events[-1]["type"] == "customer.updated"
