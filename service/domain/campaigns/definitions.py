"""What a campaign says in its own words."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency
from service.db.models.campaign import Campaign, PledgeOption
from service.domain.campaigns.amounts import campaign_currencies, chargeability_error, options_for_currency
from service.domain.errors import AmountNotChargeable, CampaignNotFound
from service.domain.money import Money, format_major_units
from service.domain.ports import PaymentGateway


def text_overrides(campaign: Campaign, lang: str) -> dict[str, str]:
    """Return what a campaign says differently in a language, by the text's name.

    A reader of "pt-BR" is written to in a campaign's "pt", where it has no closer words.
    """
    texts: dict[str, str] = campaign.texts.get(lang) or campaign.texts.get(lang.partition("-")[0], {})
    return texts


@dataclass(frozen=True, kw_only=True)
class PledgeOptionDefinition:
    """What readers may give at one frequency, in minor units."""

    frequency: Frequency
    presets: list[int]
    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, kw_only=True)
class CurrencyDefinition:
    """What readers may give in one currency; `cover_fees` is what the gateway keeps, if readers may cover it."""

    currency: str
    frequencies: list[PledgeOptionDefinition]
    cover_fees: dict[str, int] | None


@dataclass(frozen=True, kw_only=True)
class CampaignDefinition:
    """A whole campaign, as a campaign file gives it; `offers` begins with the campaign's own currency."""

    slug: str
    name: str
    heading: str
    message: list[str]
    currency: str
    lang: str
    offers: list[CurrencyDefinition]
    default_frequency: Frequency
    reminder_enabled: bool
    reminder_choices: list[int]
    reminder_repeats: list[int]
    reminder_confirm: bool
    privacy_url: str | None
    support_url: str | None
    legal_name: str | None
    tax_line: str | None
    origins: list[str]
    return_hosts: list[str]
    timezone: str
    send_hour: int
    send_until: int
    texts: dict[str, dict[str, str]] = field(default_factory=dict)


def get_campaign(session: Session, slug: str) -> Campaign:
    """Return the campaign with its choices.

    Raises:
        CampaignNotFound: there is none with this slug.
    """
    # PostgreSQL refuses to compare with a text that holds NUL, which an address may.
    campaign = None if "\0" in slug else session.scalar(select(Campaign).where(Campaign.slug == slug))
    if campaign is None:
        raise CampaignNotFound("There is no campaign with this name.", field="campaign")
    return campaign


def has_campaigns(session: Session) -> bool:
    """Whether there is any campaign at all."""
    return session.scalar(select(Campaign.id).limit(1)) is not None


def upsert_campaign(session: Session, terms: CampaignDefinition, *, now: datetime.datetime) -> Campaign:
    """Create the campaign, or make the one with this slug say and offer exactly this."""
    campaign = session.scalar(select(Campaign).where(Campaign.slug == terms.slug).with_for_update())
    if campaign is None:
        return create_campaign(session, terms, now=now)
    return _assign(campaign, terms, now)


def create_campaign(session: Session, terms: CampaignDefinition, *, now: datetime.datetime) -> Campaign:
    """Create the campaign.

    Raises:
        IntegrityError: when flushed, if there is one with this slug.
    """
    campaign = _assign(Campaign(slug=terms.slug, pledge_options=[]), terms, now)
    session.add(campaign)
    return campaign


def _assign(campaign: Campaign, terms: CampaignDefinition, now: datetime.datetime) -> Campaign:
    plain: dict[str, Any] = {name: value for name, value in vars(terms).items() if name != "offers"}
    for name, value in plain.items():
        setattr(campaign, name, value)
    campaign.updated_at = now
    campaign.cover_fees = {offer.currency: offer.cover_fees for offer in terms.offers if offer.cover_fees}
    standing = {(choice.currency, choice.frequency): choice for choice in campaign.pledge_options}
    offered = [(offer.currency, choice) for offer in terms.offers for choice in offer.frequencies]
    campaign.pledge_options = [
        _choice(standing.get((currency, choice.frequency)), currency, choice, position)
        for position, (currency, choice) in enumerate(offered)
    ]
    return campaign


def _choice(
    standing: PledgeOption | None, currency: str, terms: PledgeOptionDefinition, position: int
) -> PledgeOption:
    choice = standing or PledgeOption(currency=currency, frequency=terms.frequency)
    choice.position = position
    choice.presets_minor = terms.presets
    choice.default_minor = terms.default
    choice.minimum_minor = terms.minimum
    choice.maximum_minor = terms.maximum
    return choice


def parse_definition(file: Mapping[str, Any]) -> CampaignDefinition:
    """Return the terms in a campaign file that its schema has checked."""
    apart = ("frequencies", "cover_fees", "other_currencies", "reminder")
    return CampaignDefinition(
        offers=[_read_offer(offer) for offer in (file, *file["other_currencies"])],
        **{f"reminder_{name}": value for name, value in file["reminder"].items()},
        **{name: value for name, value in file.items() if name not in apart},
    )


def _read_offer(offer: Mapping[str, Any]) -> CurrencyDefinition:
    return CurrencyDefinition(
        currency=offer["currency"],
        frequencies=[PledgeOptionDefinition(**choice) for choice in offer["frequencies"]],
        cover_fees=offer["cover_fees"],
    )


def serialize_campaign(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as its file would say it: applying the result changes nothing."""
    plain = {
        name: getattr(campaign, name)
        for name in CampaignDefinition.__dataclass_fields__
        if name != "offers" and not name.startswith("reminder_")
    }
    first, *others = (_offer(campaign, currency) for currency in campaign_currencies(campaign))
    reminder = {
        "enabled": campaign.reminder_enabled,
        "choices": campaign.reminder_choices,
        "repeats": campaign.reminder_repeats,
        "confirm": campaign.reminder_confirm,
    }
    return plain | first | {"other_currencies": others, "reminder": reminder}


def _offer(campaign: Campaign, currency: str) -> dict[str, Any]:
    return {
        "currency": currency,
        "frequencies": [
            {
                "frequency": choice.frequency,
                "presets": choice.presets_minor,
                "default": choice.default_minor,
                "minimum": choice.minimum_minor,
                "maximum": choice.maximum_minor,
            }
            for choice in options_for_currency(campaign, currency)
        ],
        "cover_fees": campaign.cover_fees.get(currency),
    }


def validate_campaign_amounts(definition: CampaignDefinition, gateway: PaymentGateway) -> None:
    """Check that the gateway can charge every amount of a campaign.

    Raises:
        AmountNotChargeable: the error names the currency, the frequency, and the amounts that are possible.
    """
    for index, offer in enumerate(definition.offers):
        limits = gateway.charge_limits(offer.currency)
        for name, frequency, amount in _amounts(offer):
            money = Money(amount, offer.currency)
            if error := chargeability_error(money, limits):
                field = "frequencies" if index == 0 else f"other_currencies.{index - 1}.frequencies"
                shown = format_major_units(money)
                source = f"{offer.currency}, {frequency}: the {name} of {shown}"
                raise AmountNotChargeable(f"{source} cannot be charged by {gateway.name}, {error}.", field=field)


def _amounts(offer: CurrencyDefinition) -> Iterator[tuple[str, Frequency, int]]:
    for choice in offer.frequencies:
        yield "minimum", choice.frequency, choice.minimum
        for preset in choice.presets:
            yield "preset", choice.frequency, preset
        yield "default", choice.frequency, choice.default
