"""Amounts in Stripe's units, for every amount from 0 to 100,000 minor units, in integer arithmetic."""

import ast
import inspect

import pytest
from babel.numbers import list_currencies

from service.domain.money import Money, exponent
from service.gateways.stripe import currencies
from service.gateways.stripe.currencies import charge_limits, from_stripe_amount, to_stripe_amount

AMOUNTS = range(100_001)


def is_rejected(money: Money) -> bool:
    """Return whether Stripe cannot charge this amount (100,000 blocks of `pytest.raises` would take seconds)."""
    try:
        to_stripe_amount(money)
    except ValueError as refusal:
        return "charges no such amount" in str(refusal)
    return False


@pytest.mark.parametrize("currency", ["JPY", "USD", "HUF"])
def test_most_currencies_have_the_same_units(currency: str) -> None:
    for amount in AMOUNTS:
        money = Money(amount, currency)
        assert to_stripe_amount(money) == amount
        assert from_stripe_amount(amount, currency.lower()) == money


@pytest.mark.parametrize("currency", ["KWD", "TND"])
def test_three_decimal_amount_must_end_in_zero(currency: str) -> None:
    for amount in AMOUNTS:
        assert from_stripe_amount(amount, currency) == Money(amount, currency)
        if amount % 10:
            assert is_rejected(Money(amount, currency))
        else:
            assert to_stripe_amount(Money(amount, currency)) == amount


@pytest.mark.parametrize("currency", ["ISK", "UGX"])
def test_isk_and_ugx_are_sent_with_two_zero_decimals(currency: str) -> None:
    for amount in AMOUNTS:
        assert to_stripe_amount(Money(amount, currency)) == amount * 100
        assert from_stripe_amount(amount * 100, currency) == Money(amount, currency)


def test_mga_has_two_decimals_here_and_none_at_stripe() -> None:
    for amount in AMOUNTS:
        if amount % 100:
            assert is_rejected(Money(amount, "MGA"))
        else:
            assert to_stripe_amount(Money(amount, "MGA")) == amount // 100
        assert from_stripe_amount(amount, "MGA") == Money(amount * 100, "MGA")


@pytest.mark.parametrize(
    ("currency", "smallest", "step"),
    [
        ("USD", 50, 1),
        ("GBP", 30, 1),
        ("JPY", 50, 1),
        ("HUF", 17500, 1),
        ("KWD", 10, 10),
        ("ISK", 1, 1),
        ("MGA", 100, 100),
        ("GHS", 1, 1),
    ],
)
def test_charge_limits_are_stripes(currency: str, smallest: int, step: int) -> None:
    limits = charge_limits(currency)
    assert (limits.smallest_minor, limits.step_minor) == (smallest, step)


def test_minimum_charge_of_every_currency_is_chargeable() -> None:
    for currency in sorted(list_currencies()):
        limits = charge_limits(currency)
        assert limits.smallest_minor % limits.step_minor == 0, currency
        smallest = Money(limits.smallest_minor, currency)
        assert from_stripe_amount(to_stripe_amount(smallest), currency) == smallest
        assert limits.step_minor <= 10 ** exponent(currency), currency


@pytest.mark.parametrize(("amount", "kronur"), [(0, 0), (49, 0), (50, 1), (149, 1), (150, 2), (-50, -1), (-49, 0)])
def test_half_krona_is_rounded_away_from_zero(amount: int, kronur: int) -> None:
    assert from_stripe_amount(amount, "isk") == Money(kronur, "ISK")


@pytest.mark.parametrize("amount", [1.0, "5", True, None])
def test_amount_must_be_an_integer(amount: object) -> None:
    with pytest.raises(TypeError):
        from_stripe_amount(amount, "usd")  # type: ignore[arg-type]


def test_unknown_currency_is_rejected() -> None:
    with pytest.raises(ValueError, match="not an ISO 4217"):
        from_stripe_amount(5, "zzz")


def test_module_uses_no_float_arithmetic() -> None:
    tree = ast.parse(inspect.getsource(currencies))
    divisions = [node for node in ast.walk(tree) if isinstance(node, ast.Div)]
    floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not divisions
    assert not floats
    assert not {"float", "round"} & names
