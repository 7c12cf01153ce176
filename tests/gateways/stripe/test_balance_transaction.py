"""The balance transaction of a payment: gross, fee and net."""

import pytest

from service.domain.ports import GatewayBalanceTransaction
from service.gateways.stripe import StripeGateway
from tests.gateways.stripe.factories import pay_once, subscribe
from tests.stripe_double import FakeStripe


def call_count(double: FakeStripe) -> int:
    return sum(double.faults.calls.values())


def test_balance_transaction_of_one_time_payment_needs_one_call(
    gateway: StripeGateway, double: FakeStripe
) -> None:
    intent = pay_once(gateway, double, 1250)["payment_intent"]
    before = call_count(double)
    found = gateway.get_balance_transaction(intent)
    assert found is not None
    assert (found.gross_minor, found.fee_minor, found.net_minor, found.currency) == (1250, 66, 1184, "USD")
    assert found.reference.startswith("txn_")
    assert call_count(double) - before == 1


def test_balance_transaction_of_invoice_needs_two_calls(gateway: StripeGateway, double: FakeStripe) -> None:
    invoice = subscribe(gateway, double, 500)["invoice"]
    before = call_count(double)
    found = gateway.get_balance_transaction(invoice)
    assert found is not None
    assert (found.gross_minor, found.fee_minor, found.net_minor) == (500, 45, 455)
    assert call_count(double) - before == 2


def test_balance_transaction_is_in_the_payout_currency(gateway: StripeGateway, double: FakeStripe) -> None:
    double.settings.payout_currencies["jpy"] = ("usd", 0.66)
    found = gateway.get_balance_transaction(pay_once(gateway, double, 5000, "JPY")["payment_intent"])
    assert found is not None
    assert (found.currency, found.gross_minor) == ("USD", 3300)
    assert found.gross_minor - found.fee_minor == found.net_minor


def test_pending_balance_transaction_is_none(gateway: StripeGateway, double: FakeStripe) -> None:
    double.settings.async_capture = True
    intent = pay_once(gateway, double)["payment_intent"]
    assert gateway.get_balance_transaction(intent) is None
    double.settle_balances()
    assert isinstance(gateway.get_balance_transaction(intent), GatewayBalanceTransaction)


@pytest.mark.parametrize("reference", ["pi_3Unknown", "in_1Unknown"])
def test_unknown_payment_has_no_balance_transaction(gateway: StripeGateway, reference: str) -> None:
    assert gateway.get_balance_transaction(reference) is None
