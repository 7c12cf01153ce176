"""Balance transactions as Stripe lists them, and the invoices that charges paid."""

import datetime
from collections.abc import Iterator

import pytest

from service.domain.ports import GatewayBalanceTransaction, GatewayUnavailable, PaymentMethod
from service.gateways.stripe import StripeGateway, balance
from service.gateways.stripe.balance import to_balance_transaction
from service.gateways.stripe.payment_methods import payment_method_of
from tests.clock import FakeClock
from tests.gateways.stripe.factories import pay_once, subscribe
from tests.stripe_double import FakeStripe
from tests.stripe_double.account import StripeJson


@pytest.fixture
def since(clock: FakeClock) -> datetime.datetime:
    return clock() - datetime.timedelta(hours=1)


def listed(gateway: StripeGateway, since: datetime.datetime) -> list[GatewayBalanceTransaction]:
    return [item for page in gateway.list_balance_transactions(since, None) for item in page]


def test_each_transaction_names_what_it_belongs_to(
    gateway: StripeGateway, double: FakeStripe, since: datetime.datetime
) -> None:
    session = pay_once(gateway, double, 1250)
    charge = double.charge_of(session["id"])
    refund = double.refund(charge["id"], 250)
    dispute = double.open_dispute(charge["id"], 1000)
    withdrawn, refunded, charged = listed(gateway, since)
    assert (charged.kind, charged.gross_minor, charged.fee_minor, charged.net_minor) == ("charge", 1250, 66, 1184)
    assert (charged.intent, charged.charge, charged.customer) == (
        session["payment_intent"],
        charge["id"],
        charge["customer"],
    )
    assert (refunded.kind, refunded.net_minor, refunded.refund) == ("refund", -250, refund["id"])
    assert (withdrawn.kind, withdrawn.gross_minor, withdrawn.fee_minor) == ("adjustment", -1000, 1500)
    assert (withdrawn.net_minor, withdrawn.dispute) == (-2500, dispute["id"])
    for item in (refunded, withdrawn):
        assert (item.intent, item.charge) == (session["payment_intent"], charge["id"])
    assert charged.occurred_at == since + datetime.timedelta(hours=1)


def test_pages_follow_one_another_within_the_limits(
    gateway: StripeGateway, double: FakeStripe, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "PAGE_SIZE", 2)
    charge = double.charge_of(pay_once(gateway, double)["id"])
    instants = []
    for _ in range(6):
        instants.append(clock.advance(hours=1))
        double.refund(charge["id"], 100)
    pages = list(gateway.list_balance_transactions(instants[1], instants[-1]))
    assert [len(page) for page in pages] == [2, 2]
    found = [item.occurred_at for page in pages for item in page]
    assert found == sorted(instants[1:-1], reverse=True)


def test_transaction_is_in_the_payout_currency(
    gateway: StripeGateway, double: FakeStripe, since: datetime.datetime
) -> None:
    double.settings.payout_currencies["jpy"] = ("usd", 0.66)
    pay_once(gateway, double, 5000, "JPY")
    [found] = listed(gateway, since)
    assert (found.currency, found.gross_minor) == ("USD", 3300)
    assert found.gross_minor - found.fee_minor == found.net_minor


def test_pending_charge_has_no_transaction(
    gateway: StripeGateway, double: FakeStripe, since: datetime.datetime
) -> None:
    double.settings.async_capture = True
    pay_once(gateway, double)
    assert listed(gateway, since) == []
    double.settle_balances()
    assert len(listed(gateway, since)) == 1


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("ch_1", "charge"),
        ("py_1", "charge"),
        ("re_1", "refund"),
        ("pyr_1", "refund"),
        ("du_1", "dispute"),
        ("dp_1", "dispute"),
        ("po_1", None),
        (None, None),
        ({"id": "tr_1", "object": "transfer"}, None),
        ({"id": "ch_1", "object": "charge", "invoice": "in_1"}, "invoice"),
    ],
)
def test_source_may_be_an_id_or_an_object_or_nothing(source: object, field: str | None) -> None:
    transaction = {"id": "txn_1", "amount": -5, "fee": 1, "currency": "usd", "created": 1, "type": "any"}
    found = to_balance_transaction(transaction | {"source": source})
    if field is None:
        assert found is None
    else:
        assert found is not None
        assert getattr(found, field) in ("in_1", source)


def test_invoices_are_found_by_page_and_older_ones_by_themselves(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    subscription = subscribe(gateway, double)["subscription"]
    double.fail_renewal(subscription)
    # The retry pays an invoice that is three days old; the two renewals after it pay new ones.
    charges = [double.retry_successfully(subscription), double.renew(subscription), double.renew(subscription)]
    charged_at = {
        charge["payment_intent"]: datetime.datetime.fromtimestamp(charge["created"], datetime.UTC)
        for charge in charges
    }
    invoices = {payment["payment"]["payment_intent"]: payment["invoice"] for payment in _invoice_payments(double)}
    before = double.faults.calls["GET /v1/invoice_payments"]
    assert gateway.find_invoices(charged_at) == {intent: invoices[intent] for intent in charged_at}
    assert double.faults.calls["GET /v1/invoice_payments"] - before == 2


def _invoice_payments(double: FakeStripe) -> list[StripeJson]:
    return double.account.all("invoice_payment")


def test_intent_without_an_invoice_is_left_out(
    gateway: StripeGateway, double: FakeStripe, clock: FakeClock
) -> None:
    intent = pay_once(gateway, double)["payment_intent"]
    assert gateway.find_invoices({intent: clock()}) == {}
    assert gateway.find_invoices({}) == {}


def test_outage_is_unavailable(gateway: StripeGateway, double: FakeStripe, since: datetime.datetime) -> None:
    double.faults.respond(503, times=2)
    pages: Iterator[object] = gateway.list_balance_transactions(since, None)
    with pytest.raises(GatewayUnavailable):
        next(pages)


@pytest.mark.parametrize(
    ("details", "method"),
    [
        (
            {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
            PaymentMethod(kind="card", brand="visa", last4="4242"),
        ),
        ({"type": "sepa_debit", "sepa_debit": {"last4": "3000"}}, PaymentMethod(kind="sepa_debit", last4="3000")),
        ({"type": "paypal", "paypal": None}, PaymentMethod(kind="paypal")),
        ({"type": "card", "card": {"brand": ["visa"], "last4": "42424242"}}, PaymentMethod(kind="card")),
        ({"type": "x" * 33}, None),
        ({}, None),
        (None, None),
    ],
)
def test_charge_says_how_it_was_paid(details: StripeJson | None, method: PaymentMethod | None) -> None:
    assert payment_method_of({"payment_method_details": details}) == method


def test_listed_charge_names_its_payment_method(
    gateway: StripeGateway, double: FakeStripe, since: datetime.datetime
) -> None:
    double.refund(double.charge_of(pay_once(gateway, double)["id"])["id"], 100)
    refunded, charged = listed(gateway, since)
    assert charged.method == PaymentMethod(kind="card", brand="visa", last4="4242")
    assert refunded.method is None
