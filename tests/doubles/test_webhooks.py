"""How events reach somebody: signed, posted, in order, and only where they were asked for."""

import json
import time

import pytest
import requests
from stripe import InvalidRequestError, SignatureVerificationError, StripeClient, Webhook

from tests.doubles.asking import once
from tests.doubles.hook_desk import Desk
from tests.doubles.stripe_api import StripeDouble
from tests.doubles.webhooks import Deliverer, payload_of, signed
from tests.processes import free_port, wait_until

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
    double: StripeDouble, stripe: StripeClient, desk: Desk
) -> None:
    double.deliver = Deliverer(desk.url, SECRET)
    double.pay(stripe.v1.checkout.sessions.create(params=once()).id)
    events = [Webhook.construct_event(body, header, SECRET) for body, header in desk.came]
    assert [event.id for event in events] == [event["id"] for event in double.events]
    assert desk.came[0][0] == payload_of(double.events[0])
    assert {status for _, status in double.deliver.answers} == {200}


def test_a_failed_delivery_is_noted_and_made_again_when_a_test_says_so(
    double: StripeDouble, stripe: StripeClient, desk: Desk
) -> None:
    double.deliver = Deliverer(desk.url, SECRET, ["checkout.session.*"])
    desk.status = 503
    double.pay(stripe.v1.checkout.sessions.create(params=once()).id)
    assert double.deliver.answers == [("checkout.session.completed", 503)]
    desk.status = 200
    double.send_again(double.events[-1], double.events[-1])
    assert len({body for body, _ in desk.came}) == 1
    assert [status for _, status in double.deliver.answers] == [503, 200, 200]
    double.deliver = Deliverer(f"http://127.0.0.1:{free_port()}", SECRET)
    double.send_again(double.events[-1])
    assert double.deliver.answers == [("checkout.session.completed", None)]


def test_what_an_api_call_did_is_told_soon_after_its_answer(
    double: StripeDouble, stripe: StripeClient, desk: Desk
) -> None:
    charge = double.pay(stripe.v1.checkout.sessions.create(params=once()).id)
    double.hand_out()
    double.deliver = Deliverer(desk.url, SECRET, ["charge.refunded"])
    stripe.v1.refunds.create(params={"charge": charge["id"]})
    wait_until(lambda: desk.came, what="the webhook", seconds=5)
    double.wait_for_delivery()
    assert json.loads(desk.came[0][0])["data"]["object"]["id"] == charge["id"]


def test_an_endpoint_is_set_up_and_gets_the_events_that_it_asked_for(
    double: StripeDouble, stripe: StripeClient, desk: Desk
) -> None:
    made = stripe.v1.webhook_endpoints.create(
        params={"url": desk.url, "enabled_events": ["checkout.session.completed"], "description": "Mainstay"}
    )
    assert made.secret.startswith("whsec_")
    assert "secret" not in stripe.v1.webhook_endpoints.retrieve(made.id)
    assert [found.id for found in stripe.v1.webhook_endpoints.list().data] == [made.id]
    double.deliver = double.to_endpoints
    double.pay(stripe.v1.checkout.sessions.create(params=once()).id)
    ((body, header),) = desk.came
    assert f"t={int(double.clock().timestamp())}," in header
    assert header == signed(body, made.secret, double.clock().timestamp())
    stripe.v1.webhook_endpoints.update(made.id, params={"enabled_events": ["charge.refunded"]})
    double.pay(stripe.v1.checkout.sessions.create(params=once()).id)
    assert len(desk.came) == 1
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
    double: StripeDouble, stripe: StripeClient, desk: Desk
) -> None:
    double.deliver = Deliverer(desk.url, SECRET, ["checkout.session.completed"])
    session = stripe.v1.checkout.sessions.create(params=once())
    page = requests.get(session.url, timeout=5)
    assert "Pay" in page.text
    assert 'href="https://news.example/support"' in page.text
    declined = requests.post(session.url, data={"deed": "decline", "email": "ada@news.example"}, timeout=5)
    assert "Your card was declined." in declined.text
    paid = requests.post(
        session.url, data={"deed": "pay", "email": "ada@news.example"}, timeout=5, allow_redirects=False
    )
    assert (paid.status_code, paid.headers["Location"]) == (
        303,
        f"https://news.example/thanks?session={session.id}",
    )
    assert len(desk.came) == 1
    assert "no longer valid" in requests.get(f"{double.url}/c/pay/{session.id}", timeout=5).text
    assert requests.get(f"{double.url}/c/pay/cs_nothing", timeout=5).status_code == 404


def test_a_reader_saves_a_card_in_the_portal_and_returns(double: StripeDouble, stripe: StripeClient) -> None:
    who = stripe.v1.customers.create(params={"email": "ada@news.example"})
    portal = stripe.v1.billing_portal.sessions.create(
        params={"customer": who.id, "return_url": "https://news.example/me"}
    )
    assert "Save card" in requests.get(portal.url, timeout=5).text
    saved = requests.post(portal.url, timeout=5, allow_redirects=False)
    assert (saved.status_code, saved.headers["Location"]) == (303, "https://news.example/me")
    assert double.events[-1]["type"] == "customer.updated"
