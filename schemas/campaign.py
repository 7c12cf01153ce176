"""Campaigns: the file that staff write, and the answer that the widget reads."""

from typing import Any

from babel.numbers import get_currency_precision
from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validates_schema

from schemas.base import StrictSchema, unknown_name
from schemas.fields import (
    CurrencyCode,
    LanguageTag,
    MinorAmount,
    Pattern,
    Slug,
    Text,
    TimeZoneName,
    WebUrl,
    WholeNumber,
    currencies,
)
from schemas.texts import CAMPAIGN_TEXTS, placeholders_of, read_placeholders, text_names
from schemas.vocabulary import Frequency

MINIMUM = 200
MAXIMUM = 1_000_000
# When nobody is to be written to any more, unless the campaign begins even later.
ENDS_OF_DAY = (21, 24)
PRESETS = {
    Frequency.ONCE: [500, 1500, 5000],
    Frequency.MONTHLY: [200, 700, 1500],
    Frequency.ANNUAL: [2500, 5000, 10000],
}


class FrequencyChoice(StrictSchema):
    """What readers may give at one frequency, in minor units."""

    frequency = fields.Enum(Frequency, by_value=True, required=True)
    presets = fields.List(MinorAmount(metadata={"type": "integer"}))
    default = MinorAmount(metadata={"type": "integer"})
    minimum = MinorAmount(load_default=MINIMUM, metadata={"type": "integer"})
    maximum = MinorAmount(load_default=MAXIMUM, metadata={"type": "integer"})

    @post_load
    def fill_in(self, choice: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Offer the usual presets that fit the limits, and the middle preset at first."""
        low, high = choice["minimum"], choice["maximum"]
        if low > high:
            raise ValidationError("The minimum is above the maximum.", "minimum")
        usual = [amount for amount in PRESETS[choice["frequency"]] if low <= amount <= high]
        presets = choice.setdefault("presets", usual or [low])
        if not 1 <= len(presets) <= 6 or presets != sorted(set(presets)):
            raise ValidationError("Give one to six different amounts, the smallest first.", "presets")
        if presets[0] < low or presets[-1] > high:
            raise ValidationError(f"Presets must be from {low} to {high}, the limits given here.", "presets")
        choice.setdefault("default", presets[len(presets) // 2])
        if not low <= choice["default"] <= high:
            raise ValidationError(f"The default must be from {low} to {high}, the limits given here.", "default")
        return choice


class ReminderChoices(StrictSchema):
    """Whether readers may ask to be reminded, after how many months, again every how many, and who confirms."""

    enabled = fields.Boolean(load_default=True, truthy={True}, falsy={False})
    choices = fields.List(
        WholeNumber(lowest=1, highest=24, metadata={"type": "integer", "minimum": 1, "maximum": 24}),
        load_default=lambda: [1],
    )
    repeats = fields.List(
        WholeNumber(lowest=1, highest=12, metadata={"type": "integer", "minimum": 1, "maximum": 12}),
        load_default=list,
        metadata={"description": "Every how many months a reminder may come again, until its reader cancels."},
    )
    confirm = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Whether a reader confirms by mail first that the reminder is theirs."},
    )

    @post_load
    def check(self, reminder: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Refuse an offer of nothing, or of the same twice."""
        for name, fewest, wish in (("choices", 1, "one to"), ("repeats", 0, "at most")):
            offered = reminder[name]
            if not fewest <= len(offered) <= 6 or len(set(offered)) < len(offered):
                raise ValidationError(f"Give {wish} six different numbers of months.", name)
        return reminder


class CampaignFile(StrictSchema):
    """A whole campaign, as staff write it."""

    slug = Slug(required=True)
    name = Text(longest=200, required=True)
    heading = Text(longest=200, required=True)
    message = fields.List(Text(longest=2000, lines=True), required=True)
    currency = CurrencyCode(load_default="USD")
    lang = LanguageTag(load_default="en")
    frequencies = fields.List(
        fields.Nested(FrequencyChoice),
        load_default=lambda: FrequencyChoice(many=True).load([{"frequency": word} for word in Frequency]),
        metadata={"description": "Must be given for a currency that does not count in hundredths."},
    )
    default_frequency = fields.Enum(Frequency, by_value=True)
    reminder = fields.Nested(ReminderChoices, load_default=lambda: ReminderChoices().load({}))
    privacy_url = WebUrl(load_default=None, allow_none=True)
    support_url = WebUrl(load_default=None, allow_none=True)
    origins = fields.List(
        Pattern(
            r"\*|https?://[A-Za-z0-9.\[\]:-]+/?",
            wish="Give an origin such as https://paper.example, or *.",
            longest=300,
        ),
        load_default=lambda: ["*"],
    )
    return_hosts = fields.List(
        Pattern(r"[A-Za-z0-9.-]+", wish="Give a host name such as paper.example.", longest=253),
        load_default=list,
    )
    timezone = TimeZoneName(load_default="UTC")
    send_hour = WholeNumber(lowest=0, highest=23, load_default=9, metadata={"type": "integer"})
    send_until = WholeNumber(
        lowest=1,
        highest=24,
        metadata={"type": "integer", "description": "Mails that are late wait from here to the next send_hour."},
    )
    texts = fields.Dict(
        keys=LanguageTag(),
        values=fields.Dict(keys=fields.String(), values=Text(longest=8000, lines=True)),
        load_default=dict,
    )

    @pre_load
    def paragraphs(self, data: Any, **_: Any) -> Any:
        """Read a text with blank lines as a list of paragraphs, as YAML makes easy to write."""
        if isinstance(data, dict) and isinstance(data.get("message"), str):
            return data | {"message": split_paragraphs(data["message"])}
        return data

    @pre_load
    def frequencies_of_another_scale(self, data: Any, **_: Any) -> Any:
        """Refuse to offer the usual amounts where they would mean a hundred times as much, or a tenth."""
        if isinstance(data, dict) and "frequencies" not in data:
            currency = data.get("currency", "USD")
            if isinstance(currency, str) and currency in currencies() and get_currency_precision(currency) != 2:
                raise ValidationError(f"Give amounts in {currency}; the usual ones are in dollars.", "frequencies")
        return data

    @validates_schema(skip_on_field_errors=True)
    def check_whole(self, data: dict[str, Any], **_: Any) -> None:
        """Check what only shows when the parts are seen together."""
        errors: dict[str, Any] = {}
        offered = [choice["frequency"] for choice in data["frequencies"]]
        if not offered or len(set(offered)) < len(offered):
            errors["frequencies"] = ["Give each frequency once, and at least one."]
        if data.get("default_frequency") not in (None, *offered):
            errors["default_frequency"] = [f"Give one that is offered: {', '.join(offered)}."]
        if data.get("send_until", ENDS_OF_DAY[-1]) <= data["send_hour"]:
            errors["send_until"] = [f"Give an hour later than send_hour, {data['send_hour']}, and at most 24."]
        if not data["message"]:
            errors["message"] = ["Give at least one paragraph."]
        for lang, said in data["texts"].items():
            strange = {name: [wrong] for name, text in said.items() if (wrong := _wrong_text(name, text))}
            if strange:
                errors.setdefault("texts", {})[lang] = strange
        if errors:
            raise ValidationError(errors)

    @post_load
    def settle(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Write addresses in their one form, and choose the frequency shown at first and when the day ends."""
        offered = [choice["frequency"] for choice in data["frequencies"]]
        usual = Frequency.MONTHLY if Frequency.MONTHLY in offered else offered[0]
        data.setdefault("default_frequency", usual)
        data.setdefault("send_until", next(hour for hour in ENDS_OF_DAY if hour > data["send_hour"]))
        data["origins"] = [origin.lower().rstrip("/") for origin in data["origins"]]
        data["return_hosts"] = [host.lower() for host in data["return_hosts"]]
        return data


def _wrong_text(name: str, text: str) -> str | None:
    """Return what is wrong with a text that is to be said differently: its name, or what stands in braces."""
    if name not in text_names():
        return unknown_name(name, sorted(text_names()))
    if name in CAMPAIGN_TEXTS:
        return None
    allowed = placeholders_of(name)
    try:
        strange = read_placeholders(text) - allowed
    except ValueError:
        return "A brace stands alone; write {{ or }} to show one."
    if strange:
        offered = ", ".join(f"{{{word}}}" for word in sorted(allowed)) or "nothing"
        return f"This cannot be filled in: {', '.join(sorted(strange))}. In braces may stand: {offered}."
    return None


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text: what stands between blank lines, each on one line."""
    return [" ".join(part.split()) for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


class ReminderOption(Schema):
    """One reminder that readers may ask for."""

    months = fields.Integer(required=True)
    repeat = fields.Boolean(required=True, metadata={"description": "Whether it comes again until they cancel."})
    label = fields.String(required=True, metadata={"example": "In 3 months"})


class ReminderOffer(ReminderChoices):
    """The reminder choices with the words for each of them, in the order in which readers see them."""

    options = fields.List(fields.Nested(ReminderOption), required=True)


class CampaignResponse(Schema):
    """What the widget shows, in one language."""

    slug = fields.String(required=True)
    name = fields.String(required=True)
    heading = fields.String(required=True)
    message = fields.List(fields.String(), required=True)
    currency = fields.String(required=True)
    exponent = fields.Integer(
        required=True, metadata={"description": "How many decimals the currency has (ISO 4217): 2 for USD."}
    )
    lang = fields.String(required=True)
    frequencies = fields.List(fields.Nested(FrequencyChoice), required=True)
    default_frequency = fields.Enum(Frequency, by_value=True, required=True)
    reminder = fields.Nested(ReminderOffer, required=True)
    privacy_url = fields.String(required=True, allow_none=True)
    support_url = fields.String(required=True)
    texts = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "Every widget text that differs from the built-in English."},
    )
