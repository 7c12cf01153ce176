"""Webhooks: signature, delivery, order and endpoints; and the hosted pages."""

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


def test_signature_verifies_with_sdk() -> None:
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


def test_events_are_delivered_once_in_order_before_payment_returns(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    double.deliver = WebhookSender(webhook_receiver.url, SECRET)
    double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    events = [Webhook.construct_event(body, header, SECRET) for body, header in webhook_receiver.received]
    assert [event.id for event in events] == [event["id"] for event in double.events]
    assert webhook_receiver.received[0][0] == payload_of(double.events[0])
    assert {status for _, status in double.deliver.responses} == {200}


def test_failed_delivery_is_recorded_and_resent_on_demand(
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


def test_events_of_api_call_are_delivered_after_its_response(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    charge = double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    double.deliver_events()
    double.deliver = WebhookSender(webhook_receiver.url, SECRET, ["charge.refunded"])
    stripe.v1.refunds.create(params={"charge": charge["id"]})
    wait_until(lambda: webhook_receiver.received, what="the webhook", seconds=5)
    double.deliver_events()
    assert json.loads(webhook_receiver.received[0][0])["data"]["object"]["id"] == charge["id"]


def test_webhook_endpoint_receives_its_enabled_events(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    endpoint = stripe.v1.webhook_endpoints.create(
        params={
            "url": webhook_receiver.url,
            "enabled_events": ["checkout.session.completed"],
            "description": "Mainstay",
        }
    )
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in stripe.v1.webhook_endpoints.retrieve(endpoint.id)
    assert [found.id for found in stripe.v1.webhook_endpoints.list().data] == [endpoint.id]
    double.deliver = double.deliver_to_endpoints
    double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    ((body, header),) = webhook_receiver.received
    assert f"t={int(double.clock().timestamp())}," in header
    assert header == signed(body, endpoint.secret, double.clock().timestamp())
    stripe.v1.webhook_endpoints.update(endpoint.id, params={"enabled_events": ["charge.refunded"]})
    double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    assert len(webhook_receiver.received) == 1
    assert stripe.v1.webhook_endpoints.delete(endpoint.id).deleted is True
    assert stripe.v1.webhook_endpoints.list().data == []


def test_unknown_event_type_or_invalid_url_returns_400(stripe: StripeClient) -> None:
    with pytest.raises(InvalidRequestError, match="enabled_events"):
        stripe.v1.webhook_endpoints.create(
            params={"url": "https://news.example/hook", "enabled_events": ["pledge.paid"]}
        )
    with pytest.raises(InvalidRequestError, match="Invalid URL"):
        stripe.v1.webhook_endpoints.create(params={"url": "news.example", "enabled_events": ["*"]})


def test_hosted_checkout_delivers_webhook_before_redirect(
    double: FakeStripe, stripe: StripeClient, webhook_receiver: WebhookReceiver
) -> None:
    double.deliver = WebhookSender(webhook_receiver.url, SECRET, ["checkout.session.completed"])
    session = stripe.v1.checkout.sessions.create(params=payment_session_params())
    page = requests.get(session.url, timeout=30)
    assert "Pay" in page.text
    assert 'href="https://news.example/support"' in page.text
    declined = requests.post(session.url, data={"action": "decline", "email": "ada@news.example"}, timeout=30)
    assert "Your card was declined." in declined.text
    paid = requests.post(
        session.url, data={"action": "pay", "email": "ada@news.example"}, timeout=30, allow_redirects=False
    )
    assert (paid.status_code, paid.headers["Location"]) == (
        303,
        f"https://news.example/thanks?session={session.id}",
    )
    assert len(webhook_receiver.received) == 1
    assert "no longer valid" in requests.get(f"{double.url}/c/pay/{session.id}", timeout=30).text
    assert requests.get(f"{double.url}/c/pay/cs_nothing", timeout=30).status_code == 404


def test_portal_saves_card_and_redirects(double: FakeStripe, stripe: StripeClient) -> None:
    customer = stripe.v1.customers.create(params={"email": "ada@news.example"})
    portal = stripe.v1.billing_portal.sessions.create(
        params={"customer": customer.id, "return_url": "https://news.example/me"}
    )
    assert "Save card" in requests.get(portal.url, timeout=30).text
    saved = requests.post(portal.url, timeout=30, allow_redirects=False)
    assert (saved.status_code, saved.headers["Location"]) == (303, "https://news.example/me")
    assert double.events[-1]["type"] == "customer.updated"
