"""Campaigns: what one appeal says and offers."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.vocabulary import Frequency
from service.db.campaign import Campaign, SupportChoice
from service.domain.errors import CampaignNotFound, FrequencyNotOffered, OriginNotAllowed


@dataclass(frozen=True, kw_only=True)
class ChoiceTerms:
    """What readers may give at one frequency, in minor units."""

    frequency: Frequency
    presets: list[int]
    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, kw_only=True)
class CampaignTerms:
    """A whole campaign, as a campaign file gives it."""

    slug: str
    name: str
    heading: str
    message: list[str]
    currency: str
    lang: str
    frequencies: list[ChoiceTerms]
    default_frequency: Frequency
    reminder_enabled: bool
    reminder_choices: list[int]
    reminder_repeats: list[int]
    reminder_confirm: bool
    privacy_url: str | None
    support_url: str | None
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
        campaign = Campaign(slug=terms.slug, choices=[])
        session.add(campaign)
    plain: dict[str, Any] = {name: value for name, value in vars(terms).items() if name != "frequencies"}
    for name, value in plain.items():
        setattr(campaign, name, value)
    campaign.updated_at = now
    standing = {(choice.currency, choice.frequency): choice for choice in campaign.choices}
    campaign.choices = [
        _choice(standing.get((terms.currency, choice.frequency)), terms.currency, choice, position)
        for position, choice in enumerate(terms.frequencies)
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


def choice_for(campaign: Campaign, frequency: Frequency) -> SupportChoice:
    """Return what the campaign offers at this frequency.

    Raises:
        FrequencyNotOffered: it offers nothing there; the error lists what it does offer.
    """
    for choice in campaign.choices:
        if choice.frequency == frequency:
            return choice
    offered = ", ".join(choice.frequency for choice in campaign.choices)
    raise FrequencyNotOffered(f"This campaign offers: {offered}.", field="frequency")


def allows_origin(campaign: Campaign, origin: str) -> bool:
    """Whether pages of this origin (RFC 6454, as `https://paper.example`) may embed the campaign."""
    return _lists(campaign.origins, origin)


def any_campaign_allows(session: Session, origin: str) -> bool:
    """Whether pages of this origin may embed any campaign at all."""
    return any(_lists(origins, origin) for origins in session.scalars(select(Campaign.origins)))


def _lists(origins: list[str], origin: str) -> bool:
    return "*" in origins or origin.lower() in origins


def check_origin(campaign: Campaign, origin: str | None, *, own: str) -> None:
    """Refuse a request from a page that the campaign does not list; our own pages and servers may always ask.

    Raises:
        OriginNotAllowed: the campaign must list this origin first.
    """
    if origin is not None and origin != own and not allows_origin(campaign, origin):
        raise OriginNotAllowed("This site may not embed the campaign; add it to the campaign's origins.")


def read_terms(file: Mapping[str, Any]) -> CampaignTerms:
    """Return the terms in a campaign file that its schema has checked."""
    rest = {name: value for name, value in file.items() if name not in ("frequencies", "reminder")}
    return CampaignTerms(
        frequencies=[ChoiceTerms(**choice) for choice in file["frequencies"]],
        **{f"reminder_{name}": value for name, value in file["reminder"].items()},
        **rest,
    )


def campaign_terms(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as its file would say it: applying the result changes nothing."""
    plain = {
        name: getattr(campaign, name)
        for name in CampaignTerms.__dataclass_fields__
        if name != "frequencies" and not name.startswith("reminder_")
    }
    return plain | {
        "frequencies": [
            {
                "frequency": choice.frequency,
                "presets": choice.presets_minor,
                "default": choice.default_minor,
                "minimum": choice.minimum_minor,
                "maximum": choice.maximum_minor,
            }
            for choice in campaign.choices
        ],
        "reminder": {
            "enabled": campaign.reminder_enabled,
            "choices": campaign.reminder_choices,
            "repeats": campaign.reminder_repeats,
            "confirm": campaign.reminder_confirm,
        },
    }
