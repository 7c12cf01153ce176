"""The amounts of a campaign: its options by currency, its limits and the gateway's, and the fees to cover."""

from schemas.enums import Frequency
from service.db.models.campaign import Campaign, PledgeOption
from service.domain.errors import (
    AmountAboveMaximum,
    AmountBelowMinimum,
    AmountNotChargeable,
    CurrencyNotAccepted,
    DomainError,
    FrequencyNotOffered,
)
from service.domain.money import FeeRate, Money, format_major_units, format_money
from service.domain.ports import ChargeLimits


def campaign_currencies(campaign: Campaign) -> list[str]:
    """Return the currencies that the campaign accepts, its own first."""
    return list(dict.fromkeys((campaign.currency, *(option.currency for option in campaign.pledge_options))))


def options_for_currency(campaign: Campaign, currency: str) -> list[PledgeOption]:
    """Return the campaign's options in one currency, in display order.

    Raises:
        CurrencyNotAccepted: the error lists the accepted currencies.
    """
    options = [option for option in campaign.pledge_options if option.currency == currency]
    if not options:
        accepted = ", ".join(campaign_currencies(campaign))
        raise CurrencyNotAccepted(f"This campaign takes: {accepted}.", field="currency")
    return options


def find_option(campaign: Campaign, frequency: Frequency, currency: str) -> PledgeOption:
    """Return the campaign's option for this frequency in this currency.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the error lists what the campaign offers.
    """
    options = options_for_currency(campaign, currency)
    for option in options:
        if option.frequency == frequency:
            return option
    offered = ", ".join(option.frequency for option in options)
    raise FrequencyNotOffered(f"This campaign offers in {currency}: {offered}.", field="frequency")


def fee_rate(campaign: Campaign, currency: str) -> FeeRate | None:
    """Return the gateway's fee rate, or None if the campaign does not offer to cover the fees."""
    rate = campaign.cover_fees.get(currency)
    return FeeRate(rate["basis_points"], rate["fixed"]) if rate else None


def validate_amount(
    campaign: Campaign, frequency: Frequency, money: Money, *, limits: ChargeLimits, lang: str
) -> None:
    """Check an amount against the campaign's limits for the frequency and against what the gateway can charge.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable:
        each names what would be accepted.
    """
    option = find_option(campaign, frequency, money.currency)
    amount, lowest = money.amount_minor, max(option.minimum_minor, limits.smallest_minor)

    def formatted(amount_minor: int) -> str:
        return format_money(Money(amount_minor, money.currency), lang)

    if amount < option.minimum_minor:
        raise AmountBelowMinimum(f"The smallest amount is {formatted(option.minimum_minor)}.", field="amount")
    if amount > option.maximum_minor:
        raise AmountAboveMaximum(f"The largest amount is {formatted(option.maximum_minor)}.", field="amount")
    if amount < lowest or amount % limits.step_minor:
        above = _round_up_to_step(max(amount, lowest), limits.step_minor)
        nearest = (above - limits.step_minor, above)
        alternatives = tuple(near for near in nearest if lowest <= near <= option.maximum_minor)
        suggestion = " or ".join(map(formatted, alternatives)) or "another amount"
        detail = f"Exactly {formatted(amount)} cannot be charged; give {suggestion}."
        raise AmountNotChargeable(detail, field="amount", alternatives=alternatives)


def smaller_monthly_amount(campaign: Campaign, money: Money, *, limits: ChargeLimits) -> Money | None:
    """Return the amount a month for a reader who gave `money` once: the largest preset of at most as much.

    It is as much if no preset is. None if the campaign takes no such amount a month.
    """
    try:
        presets = find_option(campaign, Frequency.MONTHLY, money.currency).presets_minor
        amount = max((preset for preset in presets if preset <= money.amount_minor), default=money.amount_minor)
        monthly = Money(amount, money.currency)
        validate_amount(campaign, Frequency.MONTHLY, monthly, limits=limits, lang=campaign.lang)
    except DomainError:
        return None
    return monthly if campaign.closed_at is None else None


def covered_fees(campaign: Campaign, money: Money, *, limits: ChargeLimits) -> int:
    """Return the fees to add to an amount, in minor units; 0 if the campaign does not offer to cover them."""
    rate = fee_rate(campaign, money.currency)
    return 0 if rate is None else rate.fees_to_cover(money.amount_minor, step_minor=limits.step_minor)


def chargeability_error(money: Money, limits: ChargeLimits) -> str | None:
    """Return why the gateway cannot charge this amount, as a relative clause; None if it can."""
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
