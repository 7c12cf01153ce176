"""Campaign definitions: parsing, validating, storing and serializing a campaign, and its own texts."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency
from service.db.models.campaign import Campaign, PledgeOption
from service.domain.campaigns.amounts import campaign_currencies, chargeability_error, options_for_currency
from service.domain.campaigns.brand import NewImage, merge_brand, require_images, store_images
from service.domain.errors import AmountNotChargeable, CampaignClosed, CampaignNotFound
from service.domain.money import Money, format_major_units
from service.domain.ports import PaymentGateway

DEFAULT_SLUG = "default"
# Keys of a campaign file that hold several settings; each has a column, such as `reminder_enabled`.
SETTING_GROUPS = ("reminder", "notices")
SETTING_PREFIXES = tuple(f"{group}_" for group in SETTING_GROUPS)


@dataclass(frozen=True, kw_only=True)
class PledgeOptionDefinition:
    """The amounts offered at one frequency, in minor units."""

    frequency: Frequency
    presets: list[int]
    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, kw_only=True)
class CurrencyDefinition:
    """The options in one currency. `cover_fees` is the gateway's fee rate, if readers may cover it.

    `impact` says what an amount pays for, by frequency and by amount in minor units.
    """

    currency: str
    frequencies: list[PledgeOptionDefinition]
    cover_fees: dict[str, int] | None
    impact: Mapping[Frequency, Mapping[int, str]]


@dataclass(frozen=True, kw_only=True)
class CampaignDefinition:
    """A complete campaign, as in a campaign file. `offers` begins with the campaign's own currency."""

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
    reminder_pick_date: bool
    notices_monthly_yearly: bool
    notices_renewal_days: int
    quiet_days: int
    privacy_url: str | None
    support_url: str | None
    contact_url: str | None
    newsletter_url: str | None
    legal_name: str | None
    tax_line: str | None
    # What a file says of it: {} is nothing, which keeps the logo, and None removes all of it.
    brand: dict[str, Any] | None
    images: tuple[NewImage, ...] = ()
    origins: list[str]
    return_hosts: list[str]
    timezone: str
    send_hour: int
    send_until: int
    texts: dict[str, dict[str, str]] = field(default_factory=dict)


def parse_definition(file: Mapping[str, Any]) -> CampaignDefinition:
    """Return the definition in a campaign file that its schema has validated."""
    nested = ("frequencies", "cover_fees", "impact", "other_currencies", "reminder", "notices")
    return CampaignDefinition(
        offers=[_parse_offer(offer) for offer in (file, *file["other_currencies"])],
        **{f"{group}_{name}": file[group][name] for group in SETTING_GROUPS for name in file[group]},
        **{"brand": {}} | {name: value for name, value in file.items() if name not in nested},
    )


def validate_campaign_amounts(definition: CampaignDefinition, gateway: PaymentGateway) -> None:
    """Check that the gateway can charge every amount of a campaign.

    Raises:
        AmountNotChargeable: the error names the currency, the frequency and the amounts that can be charged.
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


def get_campaign(session: Session, slug: str, *, for_update: bool = False) -> Campaign:
    """Return the campaign with its options; `for_update` locks its row.

    Raises:
        CampaignNotFound: no campaign has this slug.
    """
    # A URL may hold NUL, which PostgreSQL does not accept in text.
    query = select(Campaign).where(Campaign.slug == slug)
    query = query.with_for_update() if for_update else query
    campaign = None if "\0" in slug else session.scalar(query)
    if campaign is None:
        raise CampaignNotFound("There is no campaign with this name.", field="campaign")
    return campaign


def list_campaigns(session: Session) -> Sequence[Campaign]:
    """Return all campaigns by slug."""
    return session.scalars(select(Campaign).order_by(Campaign.slug)).all()


def require_open(campaign: Campaign) -> None:
    """Check that the campaign takes pledges and reminders.

    Raises:
        CampaignClosed: it does not.
    """
    if campaign.closed_at is not None:
        raise CampaignClosed("This campaign is closed and isn't taking donations right now.", field="campaign")


def offers_reminders(campaign: Campaign) -> bool:
    """Whether readers may ask this campaign for a reminder today."""
    return campaign.reminder_enabled and campaign.closed_at is None


def has_campaigns(session: Session) -> bool:
    return session.scalar(select(Campaign.id).limit(1)) is not None


def campaign_exists(session: Session, slug: str) -> bool:
    return session.scalar(select(Campaign.id).where(Campaign.slug == slug)) is not None


def default_campaign_slug(session: Session) -> str:
    """Return the slug of the campaign `default`, else of the oldest one; `default` if there is none."""
    is_default = Campaign.slug == DEFAULT_SLUG
    slug = session.scalar(select(Campaign.slug).order_by(is_default.desc(), Campaign.id).limit(1))
    return slug or DEFAULT_SLUG


def upsert_campaign(session: Session, definition: CampaignDefinition, *, now: datetime.datetime) -> Campaign:
    """Create the campaign, or update the one with this slug to exactly this definition. A logo may stay.

    Raises:
        ImageNotFound: its brand names an image that is not stored.
    """
    campaign = session.scalar(select(Campaign).where(Campaign.slug == definition.slug).with_for_update())
    if campaign is None:
        return create_campaign(session, definition, now=now)
    return _assign(session, campaign, definition, now)


def create_campaign(session: Session, definition: CampaignDefinition, *, now: datetime.datetime) -> Campaign:
    """Create the campaign.

    Raises:
        IntegrityError: on flush, if the slug is taken.
        ImageNotFound: its brand names an image that is not stored.
    """
    campaign = _assign(session, Campaign(slug=definition.slug, brand={}, pledge_options=[]), definition, now)
    session.add(campaign)
    return campaign


def serialize_campaign(campaign: Campaign) -> dict[str, Any]:
    """Return the campaign in the format of a campaign file; applying the result changes nothing."""
    columns = {
        name: getattr(campaign, name)
        for name in CampaignDefinition.__dataclass_fields__
        if name not in ("offers", "brand", "images") and not name.startswith(SETTING_PREFIXES)
    }
    # Without the key, a file keeps the logo that the campaign may have by then.
    brand = {"brand": campaign.brand} if campaign.brand else {}
    first, *others = (serialize_offer(campaign, currency) for currency in campaign_currencies(campaign))
    reminder = {
        "enabled": campaign.reminder_enabled,
        "choices": campaign.reminder_choices,
        "repeats": campaign.reminder_repeats,
        "confirm": campaign.reminder_confirm,
        "pick_date": campaign.reminder_pick_date,
    }
    notices = {
        "monthly_yearly": campaign.notices_monthly_yearly,
        "renewal_days": campaign.notices_renewal_days,
    }
    return columns | brand | first | {"other_currencies": others, "reminder": reminder, "notices": notices}


def text_overrides(campaign: Campaign, lang: str) -> dict[str, str]:
    """Return the texts that the campaign overrides in a language, by name.

    "pt-BR" falls back to the campaign's "pt".
    """
    texts: dict[str, str] = campaign.texts.get(lang) or campaign.texts.get(lang.partition("-")[0], {})
    return texts


def _parse_offer(offer: Mapping[str, Any]) -> CurrencyDefinition:
    return CurrencyDefinition(
        currency=offer["currency"],
        frequencies=[PledgeOptionDefinition(**option) for option in offer["frequencies"]],
        cover_fees=offer["cover_fees"],
        impact=offer["impact"],
    )


def _assign(
    session: Session, campaign: Campaign, definition: CampaignDefinition, now: datetime.datetime
) -> Campaign:
    not_columns = ("offers", "brand", "images")
    columns: dict[str, Any] = {name: value for name, value in vars(definition).items() if name not in not_columns}
    for name, value in columns.items():
        setattr(campaign, name, value)
    store_images(session, definition.images, now=now)
    campaign.brand = merge_brand(campaign.brand, definition.brand)
    require_images(session, campaign.brand)
    campaign.updated_at = now
    campaign.cover_fees = {offer.currency: offer.cover_fees for offer in definition.offers if offer.cover_fees}
    campaign.impact = {
        offer.currency: {
            frequency: {str(amount): line for amount, line in lines.items()}
            for frequency, lines in offer.impact.items()
        }
        for offer in definition.offers
        if offer.impact
    }
    existing = {(option.currency, option.frequency): option for option in campaign.pledge_options}
    offered = [(offer.currency, option) for offer in definition.offers for option in offer.frequencies]
    campaign.pledge_options = [
        _assign_option(existing.get((currency, option.frequency)), currency, option, position)
        for position, (currency, option) in enumerate(offered)
    ]
    return campaign


def _assign_option(
    existing: PledgeOption | None, currency: str, definition: PledgeOptionDefinition, position: int
) -> PledgeOption:
    option = existing or PledgeOption(currency=currency, frequency=definition.frequency)
    option.position = position
    option.presets_minor = definition.presets
    option.default_minor = definition.default
    option.minimum_minor = definition.minimum
    option.maximum_minor = definition.maximum
    return option


def impact_lines(campaign: Campaign, currency: str) -> dict[Frequency, dict[int, str]]:
    """Return what the amounts of a currency pay for, by frequency and by amount in minor units."""
    return {
        Frequency(frequency): {int(amount): line for amount, line in lines.items()}
        for frequency, lines in campaign.impact.get(currency, {}).items()
    }


def serialize_offer(campaign: Campaign, currency: str) -> dict[str, Any]:
    """Return the amounts in one currency, what they pay for, and the fee that readers may cover, as in a file."""
    return {
        "currency": currency,
        "frequencies": [
            {
                "frequency": option.frequency,
                "presets": option.presets_minor,
                "default": option.default_minor,
                "minimum": option.minimum_minor,
                "maximum": option.maximum_minor,
            }
            for option in options_for_currency(campaign, currency)
        ],
        "cover_fees": campaign.cover_fees.get(currency),
        "impact": impact_lines(campaign, currency),
    }


def _amounts(offer: CurrencyDefinition) -> Iterator[tuple[str, Frequency, int]]:
    for option in offer.frequencies:
        yield "minimum", option.frequency, option.minimum
        for preset in option.presets:
            yield "preset", option.frequency, preset
        yield "default", option.frequency, option.default
