"""What a campaign offers: in which currencies, how often and how much, and whether readers may cover the fees."""

from schemas.enums import Frequency
from service.db.models.campaign import Campaign, PledgeOption
from service.domain.errors import CurrencyNotAccepted, FrequencyNotOffered
from service.domain.money.fees import FeeRate


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
