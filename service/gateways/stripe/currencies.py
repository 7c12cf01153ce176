"""Amounts as Stripe counts them, and as we do: by ISO 4217, which differs for a few currencies.

Source: https://docs.stripe.com/currencies, its sections "Zero-decimal currencies", "Three-decimal currencies",
"Special cases" and "Minimum and maximum charge amounts". No float comes near any of it.
"""

from typing import Final

from service.domain.money import Money, exponent
from service.domain.ports import ChargeLimits

# How many decimals Stripe counts; every other currency has two. Its special cases: krónur and Ugandan shillings
# have none, and yet are sent with two, which must be 00 (UGX stands in its zero-decimal list as well, but "to
# charge 5 UGX, provide an amount value of 500"). HUF and TWD are special in payouts alone.
_DECIMALS: Final = {
    code: digits
    for digits, codes in (
        (0, "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"),
        (3, "BHD JOD KWD OMR TND"),
    )
    for code in codes.split()
}
_THREE: Final = 3
_POWERS_OF_TEN: Final = (1, 10, 100, 1000, 10_000)

# Stripe's smallest charges, in our minor units. They hold for an account that is paid out in the same currency; a
# charge that is converted must be worth the smallest one of the payout's currency, which no table can say.
_MINIMUM_CHARGE: Final = {
    "AED": 200,
    "AUD": 50,
    "BGN": 100,
    "BRL": 50,
    "CAD": 50,
    "CHF": 50,
    "CZK": 1500,
    "DKK": 250,
    "EUR": 50,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17500,
    "INR": 50,
    "JPY": 50,
    "MXN": 1000,
    "MYR": 200,
    "NOK": 300,
    "NZD": 50,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "SGD": 50,
    "THB": 1000,
    "USD": 50,
}


def charge_limits(currency: str) -> ChargeLimits:
    """Return what Stripe charges in a currency: three decimals end in 0, and others may have to be whole."""
    ours, theirs = exponent(currency), _DECIMALS.get(currency, 2)
    step = 10 if theirs == _THREE else _POWERS_OF_TEN[max(ours - theirs, 0)]
    return ChargeLimits(smallest_minor=_MINIMUM_CHARGE.get(currency, step), step_minor=step)


def to_stripe_amount(money: Money) -> int:
    """Return the amount as Stripe's API takes it: 500 for $5.00, 500 for ¥500, 500 for 5 Icelandic krónur.

    Raises:
        ValueError: Stripe cannot charge such an amount, which is not a multiple of the currency's step.
    """
    if money.amount_minor % charge_limits(money.currency).step_minor:
        raise ValueError(f"Stripe charges no such amount in {money.currency}.")
    ours, theirs = exponent(money.currency), _DECIMALS.get(money.currency, 2)
    if theirs > ours:
        return money.amount_minor * _POWERS_OF_TEN[theirs - ours]
    return money.amount_minor // _POWERS_OF_TEN[ours - theirs]


def from_stripe_amount(amount: int, currency: str) -> Money:
    """Return an amount that Stripe names; it writes currencies in small letters.

    What stands below our smallest unit, as a fee of half a króna may, is rounded half away from zero.

    Raises:
        TypeError: the amount is not an integer.
        ValueError: the currency is not one.
    """
    if type(amount) is not int:
        raise TypeError(f"An amount is an integer, not {type(amount).__name__}.")
    code = currency.upper()
    ours, theirs = exponent(code), _DECIMALS.get(code, 2)
    if theirs <= ours:
        return Money(amount * _POWERS_OF_TEN[ours - theirs], code)
    step = _POWERS_OF_TEN[theirs - ours]
    whole = (abs(amount) + step // 2) // step
    return Money(-whole if amount < 0 else whole, code)
