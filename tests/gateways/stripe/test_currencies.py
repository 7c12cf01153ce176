"""Amounts as Stripe counts them: every one from nothing to 100,000 minor units, and not a float among them."""

import ast
import inspect

import pytest
from babel.numbers import list_currencies

from service.domain.money import Money, exponent
from service.gateways.stripe import currencies as units
from service.gateways.stripe.currencies import charge_limits, from_stripe_amount, to_stripe_amount

EVERY = range(100_001)


def is_refused(money: Money) -> bool:
    """Whether Stripe charges no such amount (a hundred thousand blocks of `pytest.raises` take seconds)."""
    try:
        to_stripe_amount(money)
    except ValueError as refusal:
        return "charges no such amount" in str(refusal)
    return False


@pytest.mark.parametrize("currency", ["JPY", "USD", "HUF"])
def test_most_amounts_are_the_same_there_and_here(currency: str) -> None:
    for amount in EVERY:
        money = Money(amount, currency)
        assert to_stripe_amount(money) == amount
        assert from_stripe_amount(amount, currency.lower()) == money


@pytest.mark.parametrize("currency", ["KWD", "TND"])
def test_of_three_decimals_the_last_is_nought_or_the_amount_is_refused(currency: str) -> None:
    for amount in EVERY:
        assert from_stripe_amount(amount, currency) == Money(amount, currency)
        if amount % 10:
            assert is_refused(Money(amount, currency))
        else:
            assert to_stripe_amount(Money(amount, currency)) == amount


@pytest.mark.parametrize("currency", ["ISK", "UGX"])
def test_whole_currencies_that_once_had_cents_are_sent_with_two_noughts(currency: str) -> None:
    for amount in EVERY:
        assert to_stripe_amount(Money(amount, currency)) == amount * 100
        assert from_stripe_amount(amount * 100, currency) == Money(amount, currency)


def test_an_ariary_has_cents_for_us_and_none_for_stripe() -> None:
    for amount in EVERY:
        if amount % 100:
            assert is_refused(Money(amount, "MGA"))
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
def test_the_smallest_charges_are_stripes_own(currency: str, smallest: int, step: int) -> None:
    found = charge_limits(currency)
    assert (found.smallest_minor, found.step_minor) == (smallest, step)


def test_every_currency_has_limits_that_it_keeps_itself() -> None:
    for currency in sorted(list_currencies()):
        found = charge_limits(currency)
        assert found.smallest_minor % found.step_minor == 0, currency
        smallest = Money(found.smallest_minor, currency)
        assert from_stripe_amount(to_stripe_amount(smallest), currency) == smallest
        assert found.step_minor <= 10 ** exponent(currency), currency


@pytest.mark.parametrize(("amount", "kronur"), [(0, 0), (49, 0), (50, 1), (149, 1), (150, 2), (-50, -1), (-49, 0)])
def test_a_fee_of_half_a_krona_is_rounded_away_from_nothing(amount: int, kronur: int) -> None:
    assert from_stripe_amount(amount, "isk") == Money(kronur, "ISK")


@pytest.mark.parametrize("amount", [1.0, "5", True, None])
def test_what_is_no_integer_is_no_amount(amount: object) -> None:
    with pytest.raises(TypeError):
        from_stripe_amount(amount, "usd")  # type: ignore[arg-type]


def test_what_is_no_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="not an ISO 4217"):
        from_stripe_amount(5, "zzz")


def test_no_float_comes_near_it() -> None:
    tree = ast.parse(inspect.getsource(units))
    divisions = [node for node in ast.walk(tree) if isinstance(node, ast.Div)]
    floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not divisions
    assert not floats
    assert not {"float", "round"} & names
