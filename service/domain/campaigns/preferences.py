"""What still fits of a choice that was made earlier, when the campaign may have offered something else.

A reminder, a link in an email and an address bar hold such choices. What the campaign offers today decides.
"""

from dataclasses import dataclass

from schemas.enums import Frequency
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import campaign_currencies, chargeability_error, options_for_currency
from service.domain.money import Money
from service.domain.offer_changes import Change, OfferChange
from service.domain.ports import NO_LIMITS, ChargeLimits


@dataclass(frozen=True)
class OfferedPreference:
    """What the campaign offers today of an earlier choice, and what it does not. None means no choice."""

    frequency: Frequency | None
    money: Money | None
    currency: str | None
    changes: tuple[OfferChange, ...] = ()


def offered_preference(
    campaign: Campaign,
    frequency: Frequency | None,
    amount_minor: int | None,
    currency: str | None,
    *,
    limits: ChargeLimits = NO_LIMITS,
) -> OfferedPreference:
    """Return what still fits of a choice, and what does not.

    An amount belongs to its currency and its frequency, so it goes with either: $15 a month is not $15 once. An
    amount without a frequency is one at the campaign's default frequency. `limits` are those of the gateway.
    """
    wanted = currency or campaign.currency
    if frequency is None and amount_minor is None:
        return OfferedPreference(None, None, wanted if wanted in campaign_currencies(campaign) else None)
    if wanted not in campaign_currencies(campaign):
        gone = OfferChange(Change.CURRENCY, currency=wanted)
        rest = offered_preference(campaign, frequency, None, campaign.currency)
        return OfferedPreference(rest.frequency, None, None, (gone, *rest.changes))
    options = {option.frequency: option for option in options_for_currency(campaign, wanted)}
    option = options.get(frequency or campaign.default_frequency)
    if option is None:
        changes = () if frequency is None else (OfferChange(Change.FREQUENCY, frequency=frequency),)
        return OfferedPreference(None, None, wanted, changes)
    if amount_minor is None:
        return OfferedPreference(frequency, None, wanted)
    money = Money(amount_minor, wanted)
    if amount_minor < option.minimum_minor:
        change = OfferChange(Change.MINIMUM, money=Money(option.minimum_minor, wanted))
    elif amount_minor > option.maximum_minor:
        change = OfferChange(Change.MAXIMUM, money=Money(option.maximum_minor, wanted))
    elif chargeability_error(money, limits):
        change = OfferChange(Change.AMOUNT, money=money)
    else:
        return OfferedPreference(frequency, money, wanted)
    return OfferedPreference(frequency, None, wanted, (change,))
