"""What the gateway can charge of what a campaign offers, and what covering its share adds."""

from schemas.enums import Frequency
from service.db.models.campaign import Campaign, PledgeOption
from service.domain.errors import (
    AmountAboveMaximum,
    AmountBelowMinimum,
    AmountNotChargeable,
    CurrencyNotAccepted,
    FrequencyNotOffered,
)
from service.domain.money import FeeRate, Money, format_major_units, format_money
from service.domain.ports import ChargeLimits


def campaign_currencies(campaign: Campaign) -> list[str]:
    """Return the currencies that the campaign takes, its own first."""
    return list(dict.fromkeys((campaign.currency, *(choice.currency for choice in campaign.pledge_options))))


def options_for_currency(campaign: Campaign, currency: str) -> list[PledgeOption]:
    """Return what readers may choose in one currency, in the order in which they see it.

    Raises:
        CurrencyNotAccepted: the campaign does not take it; the error lists what it does take.
    """
    choices = [choice for choice in campaign.pledge_options if choice.currency == currency]
    if not choices:
        accepted = ", ".join(campaign_currencies(campaign))
        raise CurrencyNotAccepted(f"This campaign takes: {accepted}.", field="currency")
    return choices


def find_option(campaign: Campaign, frequency: Frequency, currency: str) -> PledgeOption:
    """Return what the campaign offers at this frequency in this currency.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: it offers nothing there; the error lists what it does offer.
    """
    choices = options_for_currency(campaign, currency)
    for choice in choices:
        if choice.frequency == frequency:
            return choice
    offered = ", ".join(choice.frequency for choice in choices)
    raise FrequencyNotOffered(f"This campaign offers in {currency}: {offered}.", field="frequency")


def fee_rate(campaign: Campaign, currency: str) -> FeeRate | None:
    """Return what the gateway keeps of a payment, or None if the campaign asks nobody to cover it."""
    kept = campaign.cover_fees.get(currency)
    return FeeRate(kept["basis_points"], kept["fixed"]) if kept else None


def validate_amount(
    campaign: Campaign, frequency: Frequency, money: Money, *, limits: ChargeLimits, lang: str
) -> None:
    """Hold an amount against the campaign's limits for the frequency, and what the gateway can charge.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable:
        each says what would be accepted.
    """
    choice = find_option(campaign, frequency, money.currency)
    amount, lowest = money.amount_minor, max(choice.minimum_minor, limits.smallest_minor)

    def written(amount_minor: int) -> str:
        return format_money(Money(amount_minor, money.currency), lang)

    if amount < choice.minimum_minor:
        raise AmountBelowMinimum(f"The smallest amount is {written(choice.minimum_minor)}.", field="amount")
    if amount > choice.maximum_minor:
        raise AmountAboveMaximum(f"The largest amount is {written(choice.maximum_minor)}.", field="amount")
    if amount < lowest or amount % limits.step_minor:
        more = _round_up_to_step(max(amount, lowest), limits.step_minor)
        would_do = tuple(one for one in (more - limits.step_minor, more) if lowest <= one <= choice.maximum_minor)
        near = " or ".join(map(written, would_do)) or "another amount"
        detail = f"Exactly {written(amount)} cannot be charged; give {near}."
        raise AmountNotChargeable(detail, field="amount", would_do=would_do)


def covered_fees(campaign: Campaign, money: Money, *, limits: ChargeLimits) -> int:
    """Return what a reader adds to cover the gateway's share: nothing where the campaign asks nobody to."""
    rate = fee_rate(campaign, money.currency)
    return 0 if rate is None else rate.fees_to_cover(money.amount_minor, step_minor=limits.step_minor)


def chargeability_error(money: Money, limits: ChargeLimits) -> str | None:
    """Return why the gateway cannot charge this amount, or None if it can."""
    smallest = format_major_units(
        Money(_round_up_to_step(limits.smallest_minor, limits.step_minor), money.currency)
    )
    if money.amount_minor < limits.smallest_minor:
        return f"whose smallest charge is {smallest}"
    if money.amount_minor % limits.step_minor:
        step = format_major_units(Money(limits.step_minor, money.currency))
        return f"which charges whole multiples of {step}, from {smallest}"
    return None


def _round_up_to_step(amount_minor: int, step_minor: int) -> int:
    return -(-amount_minor // step_minor) * step_minor
