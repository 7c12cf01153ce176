"""Refunds, disputes, and their balance transactions."""

import pytest
from stripe import InvalidRequestError, StripeClient

from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson
from tests.stripe_double.scenarios import payment_session_params


@pytest.fixture
def charge(double: FakeStripe, stripe: StripeClient) -> StripeJson:
    return double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params(amount=1000)).id)


def test_partial_refund_and_refund_of_remainder(
    double: FakeStripe, stripe: StripeClient, charge: StripeJson
) -> None:
    part = stripe.v1.refunds.create(
        params={"payment_intent": charge["payment_intent"], "amount": 300, "metadata": {"refund": "1"}}
    )
    assert (part.status, part.charge, part.metadata["refund"]) == ("succeeded", charge["id"], "1")
    entry = stripe.v1.balance_transactions.retrieve(part.balance_transaction)
    assert (entry.amount, entry.fee, entry.net, entry.type) == (-300, 0, -300, "refund")
    assert double.events[-1]["data"]["object"]["amount_refunded"] == 300
    assert double.events[-1]["data"]["object"]["refunded"] is False
    double.refund(charge["id"])
    assert double.events[-1]["type"] == "charge.refunded"
    assert double.events[-1]["data"]["object"]["refunded"] is True
    listed = stripe.v1.refunds.list(params={"charge": charge["id"]}).data
    assert [refund.amount for refund in listed] == [700, 300]
    same = stripe.v1.charges.retrieve(charge["id"], params={"expand": ["refunds"]})
    assert len(same.refunds.data) == 2


def test_refund_cannot_exceed_charge(stripe: StripeClient, charge: StripeJson) -> None:
    with pytest.raises(InvalidRequestError, match="greater than unrefunded amount"):
        stripe.v1.refunds.create(params={"charge": charge["id"], "amount": 1001})
    stripe.v1.refunds.create(params={"charge": charge["id"], "amount": 1000})
    with pytest.raises(InvalidRequestError, match="already been refunded"):
        stripe.v1.refunds.create(params={"charge": charge["id"]})


def test_unpaid_intent_cannot_be_refunded(double: FakeStripe, stripe: StripeClient) -> None:
    session = stripe.v1.checkout.sessions.create(params=payment_session_params())
    double.decline(session.id)
    intent = double.events[-1]["data"]["object"]["id"]
    with pytest.raises(InvalidRequestError, match="does not have a successful charge"):
        stripe.v1.refunds.create(params={"payment_intent": intent})


def test_failed_refund_returns_amount_to_charge(
    double: FakeStripe, stripe: StripeClient, charge: StripeJson
) -> None:
    refund = double.refund(charge["id"])
    double.fail_refund(refund["id"])
    assert stripe.v1.refunds.retrieve(refund["id"]).status == "failed"
    assert stripe.v1.charges.retrieve(charge["id"]).amount_refunded == 0
    assert "refund.failed" in [event["type"] for event in double.events]


@pytest.mark.parametrize(("outcome", "net"), [("won", 0), ("lost", -2500)])
def test_dispute_withdraws_funds_until_won(
    double: FakeStripe, stripe: StripeClient, charge: StripeJson, outcome: str, net: int
) -> None:
    dispute = double.open_dispute(charge["id"])
    opened = stripe.v1.disputes.retrieve(dispute["id"])
    assert (opened.status, opened.amount, opened.charge) == ("needs_response", 1000, charge["id"])
    assert stripe.v1.charges.retrieve(charge["id"]).disputed is True
    with pytest.raises(InvalidRequestError) as raised:
        stripe.v1.refunds.create(params={"charge": charge["id"]})
    assert raised.value.code == "charge_disputed"
    double.close_dispute(dispute["id"], outcome)
    closed = stripe.v1.disputes.list(params={"charge": charge["id"]}).data[0]
    assert closed.status == outcome
    assert sum(entry.net for entry in closed.balance_transactions) == net


def test_async_capture_settles_balance_after_payment(double: FakeStripe, stripe: StripeClient) -> None:
    double.settings.async_capture = True
    charge = double.pay(stripe.v1.checkout.sessions.create(params=payment_session_params()).id)
    params = {"expand": ["latest_charge.balance_transaction"]}
    intent = stripe.v1.payment_intents.retrieve(charge["payment_intent"], params=params)
    assert (intent.status, intent.latest_charge.balance_transaction) == ("succeeded", None)
    double.settle_balances()
    assert double.events[-1]["type"] == "charge.updated"
    assert double.events[-1]["data"]["previous_attributes"] == {"balance_transaction": None}
    intent = stripe.v1.payment_intents.retrieve(charge["payment_intent"], params=params)
    assert intent.latest_charge.balance_transaction.net == 455


def test_balance_transaction_is_in_payout_currency(double: FakeStripe, stripe: StripeClient) -> None:
    double.settings.payout_currencies["eur"] = ("usd", 1.1)
    charge = double.pay(
        stripe.v1.checkout.sessions.create(params=payment_session_params(amount=1000, currency="eur")).id
    )
    entry = stripe.v1.balance_transactions.retrieve(charge["balance_transaction"])
    assert (charge["currency"], entry.currency, entry.exchange_rate) == ("eur", "usd", 1.1)
    # The fee is 59 cents of a euro.
    assert (entry.amount, entry.fee, entry.net) == (1100, 65, 1035)
