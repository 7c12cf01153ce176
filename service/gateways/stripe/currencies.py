"""Convert amounts between our minor units, which follow ISO 4217, and Stripe's, which differ for some currencies.

Source: https://docs.stripe.com/currencies, sections "Zero-decimal currencies", "Three-decimal currencies",
"Special cases" and "Minimum and maximum charge amounts". All arithmetic is on integers.
"""

from typing import Final

from service.domain.money import Money, exponent
from service.domain.ports import ChargeLimits

# The number of decimals that Stripe uses, where it is not two. Special cases: ISK and UGX have no decimals but are
# sent with two, which must be 00 (UGX is in the zero-decimal list as well, but "to charge 5 UGX, provide an amount
# value of 500"). HUF and TWD are special only in payouts.
_DECIMALS: Final = {
    code: digits
    for digits, codes in (
        (0, "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"),
        (3, "BHD JOD KWD OMR TND"),
    )
    for code in codes.split()
}
_POWERS_OF_TEN: Final = (1, 10, 100, 1000, 10_000)

# Stripe's minimum charges, in our minor units, for an account that is paid out in the same currency. A charge that
# is converted must be worth the minimum of the payout currency, which depends on the exchange rate.
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
    """Return the minimum charge and the step: amounts of three decimals end in 0, some others are whole."""
    our_decimals, stripe_decimals = exponent(currency), _DECIMALS.get(currency, 2)
    step = 10 if stripe_decimals == 3 else _POWERS_OF_TEN[max(our_decimals - stripe_decimals, 0)]
    return ChargeLimits(smallest_minor=_MINIMUM_CHARGE.get(currency, step), step_minor=step)


def to_stripe_amount(money: Money) -> int:
    """Convert to the amount of Stripe's API: 500 for $5.00, 500 for ¥500, 500 for 5 Icelandic krónur.

    Raises:
        ValueError: Stripe cannot charge this amount, because it is not a multiple of the currency's step.
    """
    if money.amount_minor % charge_limits(money.currency).step_minor:
        raise ValueError(f"Stripe charges no such amount in {money.currency}.")
    our_decimals, stripe_decimals = exponent(money.currency), _DECIMALS.get(money.currency, 2)
    if stripe_decimals > our_decimals:
        return money.amount_minor * _POWERS_OF_TEN[stripe_decimals - our_decimals]
    return money.amount_minor // _POWERS_OF_TEN[our_decimals - stripe_decimals]


def from_stripe_amount(amount: int, currency: str) -> Money:
    """Convert an amount of Stripe's API; the currency may be in lower case, as Stripe writes it.

    A fraction of our minor unit, such as a fee of half a króna, is rounded half away from zero.

    Raises:
        TypeError: the amount is not an integer.
        ValueError: the currency is unknown.
    """
    if type(amount) is not int:
        raise TypeError(f"An amount is an integer, not {type(amount).__name__}.")
    code = currency.upper()
    our_decimals, stripe_decimals = exponent(code), _DECIMALS.get(code, 2)
    if stripe_decimals <= our_decimals:
        return Money(amount * _POWERS_OF_TEN[our_decimals - stripe_decimals], code)
    step = _POWERS_OF_TEN[stripe_decimals - our_decimals]
    whole = (abs(amount) + step // 2) // step
    return Money(-whole if amount < 0 else whole, code)
