"""What a payment left in the balance, after Stripe's share."""

import pytest

from service.domain.ports import GatewayBalanceTransaction
from service.gateways.stripe import StripeGateway
from tests.gateways.stripe.factories import give, subscribe
from tests.stripe_double import FakeStripe


def calls(double: FakeStripe) -> int:
    return sum(double.faults.calls.values())


def test_a_one_time_payment_says_what_stripe_took_of_it(gateway: StripeGateway, double: FakeStripe) -> None:
    intent = give(gateway, double, 1250)["payment_intent"]
    before = calls(double)
    found = gateway.get_balance_transaction(intent)
    assert found is not None
    assert (found.gross_minor, found.fee_minor, found.net_minor, found.currency) == (1250, 66, 1184, "USD")
    assert found.reference.startswith("txn_")
    assert calls(double) - before == 1


def test_a_bill_is_looked_up_in_two_calls(gateway: StripeGateway, double: FakeStripe) -> None:
    invoice = subscribe(gateway, double, 500)["invoice"]
    before = calls(double)
    found = gateway.get_balance_transaction(invoice)
    assert found is not None
    assert (found.gross_minor, found.fee_minor, found.net_minor) == (500, 45, 455)
    assert calls(double) - before == 2


def test_what_is_paid_out_in_another_currency_is_told_in_that(gateway: StripeGateway, double: FakeStripe) -> None:
    double.settings.payout_currencies["jpy"] = ("usd", 0.66)
    found = gateway.get_balance_transaction(give(gateway, double, 5000, "JPY")["payment_intent"])
    assert found is not None
    assert (found.currency, found.gross_minor) == ("USD", 3300)
    assert found.gross_minor - found.fee_minor == found.net_minor


def test_a_balance_that_comes_later_is_none_until_then(gateway: StripeGateway, double: FakeStripe) -> None:
    double.settings.async_capture = True
    intent = give(gateway, double)["payment_intent"]
    assert gateway.get_balance_transaction(intent) is None
    double.settle_balances()
    assert isinstance(gateway.get_balance_transaction(intent), GatewayBalanceTransaction)


@pytest.mark.parametrize("reference", ["pi_3Unknown", "in_1Unknown"])
def test_a_payment_that_stripe_does_not_know_left_nothing(gateway: StripeGateway, reference: str) -> None:
    assert gateway.get_balance_transaction(reference) is None
