"""Campaigns: what one appeal says and offers, as its file gives it and as it is stored."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.vocabulary import Frequency
from service.db.campaign import Campaign, SupportChoice
from service.domain.campaigns.offers import choices_in, currencies_of
from service.domain.errors import CampaignNotFound


@dataclass(frozen=True, kw_only=True)
class ChoiceTerms:
    """What readers may give at one frequency, in minor units."""

    frequency: Frequency
    presets: list[int]
    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, kw_only=True)
class OfferTerms:
    """What readers may give in one currency; `cover_fees` is what the gateway keeps, if readers may cover it."""

    currency: str
    frequencies: list[ChoiceTerms]
    cover_fees: dict[str, int] | None


@dataclass(frozen=True, kw_only=True)
class CampaignTerms:
    """A whole campaign, as a campaign file gives it; `offers` begins with the campaign's own currency."""

    slug: str
    name: str
    heading: str
    message: list[str]
    currency: str
    lang: str
    offers: list[OfferTerms]
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


def find_campaign(session: Session, slug: str) -> Campaign:
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


def apply_campaign(session: Session, terms: CampaignTerms, *, now: datetime.datetime) -> Campaign:
    """Create the campaign, or make the one with this slug say and offer exactly this."""
    campaign = session.scalar(select(Campaign).where(Campaign.slug == terms.slug).with_for_update())
    if campaign is None:
        return add_campaign(session, terms, now=now)
    return _rewrite(campaign, terms, now)


def add_campaign(session: Session, terms: CampaignTerms, *, now: datetime.datetime) -> Campaign:
    """Create the campaign.

    Raises:
        IntegrityError: when flushed, if there is one with this slug.
    """
    campaign = _rewrite(Campaign(slug=terms.slug, choices=[]), terms, now)
    session.add(campaign)
    return campaign


def _rewrite(campaign: Campaign, terms: CampaignTerms, now: datetime.datetime) -> Campaign:
    plain: dict[str, Any] = {name: value for name, value in vars(terms).items() if name != "offers"}
    for name, value in plain.items():
        setattr(campaign, name, value)
    campaign.updated_at = now
    campaign.cover_fees = {offer.currency: offer.cover_fees for offer in terms.offers if offer.cover_fees}
    standing = {(choice.currency, choice.frequency): choice for choice in campaign.choices}
    offered = [(offer.currency, choice) for offer in terms.offers for choice in offer.frequencies]
    campaign.choices = [
        _choice(standing.get((currency, choice.frequency)), currency, choice, position)
        for position, (currency, choice) in enumerate(offered)
    ]
    return campaign


def _choice(standing: SupportChoice | None, currency: str, terms: ChoiceTerms, position: int) -> SupportChoice:
    choice = standing or SupportChoice(currency=currency, frequency=terms.frequency)
    choice.position = position
    choice.presets_minor = terms.presets
    choice.default_minor = terms.default
    choice.minimum_minor = terms.minimum
    choice.maximum_minor = terms.maximum
    return choice


def read_terms(file: Mapping[str, Any]) -> CampaignTerms:
    """Return the terms in a campaign file that its schema has checked."""
    apart = ("frequencies", "cover_fees", "other_currencies", "reminder")
    return CampaignTerms(
        offers=[_read_offer(offer) for offer in (file, *file["other_currencies"])],
        **{f"reminder_{name}": value for name, value in file["reminder"].items()},
        **{name: value for name, value in file.items() if name not in apart},
    )


def _read_offer(offer: Mapping[str, Any]) -> OfferTerms:
    return OfferTerms(
        currency=offer["currency"],
        frequencies=[ChoiceTerms(**choice) for choice in offer["frequencies"]],
        cover_fees=offer["cover_fees"],
    )


def campaign_terms(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as its file would say it: applying the result changes nothing."""
    plain = {
        name: getattr(campaign, name)
        for name in CampaignTerms.__dataclass_fields__
        if name != "offers" and not name.startswith("reminder_")
    }
    first, *others = (_offer(campaign, currency) for currency in currencies_of(campaign))
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
            for choice in choices_in(campaign, currency)
        ],
        "cover_fees": campaign.cover_fees.get(currency),
    }
