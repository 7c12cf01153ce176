"""Checkout Sessions through the SDK: payment, decline and expiry."""

import pytest
from stripe import InvalidRequestError, StripeClient

from tests.stripe_double import FakeStripe
from tests.stripe_double.scenarios import payment_session_params, subscription_session_params


def event_types(double: FakeStripe) -> list[str]:
    return [event["type"] for event in double.events]


def test_one_time_payment_emits_events_with_metadata(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params(amount=1250))
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.url.startswith(double.url)
    charge = double.pay(session.id, email="ada@news.example")
    paid = stripe.v1.checkout.sessions.retrieve(session.id, params={"expand": ["line_items"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert (paid.client_reference_id, paid.amount_total, paid.customer) == ("pledge-1", 1250, None)
    assert paid.customer_details.email == "ada@news.example"
    assert paid.line_items.data[0].price.unit_amount == 1250
    intent = stripe.v1.payment_intents.retrieve(
        paid.payment_intent, params={"expand": ["latest_charge.balance_transaction"]}
    )
    assert (intent.status, intent.metadata["pledge"]) == ("succeeded", "pledge-1")
    assert intent.latest_charge.id == charge["id"]
    entry = intent.latest_charge.balance_transaction
    # 2.9 % of 12.50 is 36.25 cents, and 30 more.
    assert (entry.amount, entry.fee, entry.net) == (1250, 66, 1184)
    assert event_types(double) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
        "checkout.session.completed",
    ]


def test_paid_session_creates_subscription(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=subscription_session_params(amount=500))
    double.decline(session.id)
    assert double.account.all("subscription") == []
    double.pay(session.id)
    paid = stripe.v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["subscription.latest_invoice.payments"]}
    )
    assert paid.payment_intent is None
    assert paid.subscription.metadata["pledge"] == "pledge-1"
    item = paid.subscription["items"].data[0]
    # From 23 November to 23 December, at the same time of day.
    assert item.current_period_end - item.current_period_start == 30 * 24 * 3600
    invoice = paid.subscription.latest_invoice
    assert (invoice.id, invoice.status, invoice.billing_reason) == (paid.invoice, "paid", "subscription_create")
    assert invoice.parent.subscription_details.subscription == paid.subscription.id
    assert invoice.parent.subscription_details.metadata["pledge"] == "pledge-1"
    intent = invoice.payments.data[0].payment.payment_intent
    (payment,) = stripe.v1.invoice_payments.list(
        params={"payment": {"type": "payment_intent", "payment_intent": intent}}
    ).data
    assert (payment.invoice, payment.amount_paid) == (invoice.id, 500)
    charge = stripe.v1.charges.list(params={"payment_intent": intent}).data[0]
    assert "invoice" not in charge
    assert "refunds" not in charge


def test_declined_card_leaves_session_open(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params())
    double.decline(session.id, decline_code="expired_card")
    failed = double.events[-1]
    assert failed["type"] == "payment_intent.payment_failed"
    assert failed["data"]["object"]["last_payment_error"]["decline_code"] == "expired_card"
    assert failed["data"]["object"]["metadata"] == {"pledge": "pledge-1"}
    charge = double.pay(session.id)
    assert charge["payment_intent"] == failed["data"]["object"]["id"]
    assert event_types(double).count("payment_intent.created") == 1


def test_abandoned_session_expires_after_24_hours(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params())
    started_at = double.clock()
    double.abandon(session.id)
    assert (double.clock() - started_at).total_seconds() == 24 * 3600
    assert event_types(double) == ["checkout.session.expired"]
    with pytest.raises(InvalidRequestError, match="can be expired"):
        stripe.v1.checkout.sessions.expire(session.id)


def test_session_expires_by_api_call_and_by_time(double: FakeStripe, stripe: StripeClient) -> None:
    first = stripe.v1.checkout.sessions.create(params=payment_session_params())
    second = stripe.v1.checkout.sessions.create(params=payment_session_params())
    assert stripe.v1.checkout.sessions.expire(first.id).status == "expired"
    assert double.events[-1]["request"]["id"].startswith("req_")
    double.advance(hours=25)
    assert double.get(second.id)["status"] == "expired"
    listed = stripe.v1.checkout.sessions.list(params={"status": "expired"}).data
    assert {found.id for found in listed} == {first.id, second.id}


def test_bank_debit_succeeds_or_fails_asynchronously(double: FakeStripe, stripe: StripeClient) -> None:
    good = stripe.v1.checkout.sessions.create(params=payment_session_params())
    bad = stripe.v1.checkout.sessions.create(params=payment_session_params())
    for session in (good, bad):
        double.pay_by_bank_debit(session.id)
        assert double.events[-1]["type"] == "checkout.session.completed"
        assert double.events[-1]["data"]["object"]["payment_status"] == "unpaid"
    double.settle_bank_debit(good.id)
    assert double.events[-1]["type"] == "checkout.session.async_payment_succeeded"
    assert double.events[-1]["data"]["object"]["payment_status"] == "paid"
    double.fail_bank_debit(bad.id, days=0)
    assert event_types(double)[-3:] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]
    assert double.get(bad.id)["payment_status"] == "unpaid"


def test_failed_bank_debit_makes_subscription_past_due(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=subscription_session_params())
    double.pay_by_bank_debit(session.id)
    subscription = double.get(double.get(session.id)["subscription"])
    assert subscription["status"] == "active"
    double.fail_bank_debit(session.id)
    assert subscription["status"] == "past_due"
    assert "invoice.payment_failed" in event_types(double)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subscription_data": {"metadata": {"a": "b"}}}, "subscription_data"),
        ({"mode": "subscription", "payment_intent_data": {}}, "recurring"),
        ({"line_items": []}, "line_items"),
        ({"success_url": ""}, "empty string"),
        ({"mode": "donation"}, "Invalid mode"),
        ({"pledge": "x"}, "unknown parameter: pledge"),
        ({"expires_at": 1}, "expires_at"),
        ({"client_reference_id": "x" * 201}, "200"),
        ({"metadata": {"key": "x" * 501}}, "500"),
        ({"customer": "cus_nobody"}, "No such customer"),
    ],
)
def test_invalid_session_parameters_return_400(stripe: StripeClient, changes: dict, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        stripe.v1.checkout.sessions.create(params=payment_session_params() | changes)


@pytest.mark.parametrize(
    ("amount", "currency", "is_valid"),
    [
        (50, "usd", True),
        (49, "usd", False),
        (50, "jpy", True),
        (1500, "kwd", True),
        (1505, "kwd", False),
        (50_000, "isk", True),
        (50_050, "isk", False),
    ],
)
def test_amount_limits_by_currency(stripe: StripeClient, amount: int, currency: str, is_valid: bool) -> None:
    params = payment_session_params(amount=amount, currency=currency)
    if is_valid:
        assert stripe.v1.checkout.sessions.create(params=params).amount_total == amount
    else:
        with pytest.raises(InvalidRequestError):
            stripe.v1.checkout.sessions.create(params=params)
