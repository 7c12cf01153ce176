"""Campaigns: the file that staff write, and the answer that the widget reads."""

from typing import Any

from babel.numbers import get_currency_precision
from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validates_schema

from schemas.base import StrictSchema, unknown_field_message
from schemas.enums import Frequency
from schemas.fields import (
    MAX_AMOUNT,
    BoundedInteger,
    CurrencyCode,
    LanguageTag,
    MinorUnits,
    RegexString,
    Slug,
    Text,
    TimezoneName,
    WebUrl,
    currency_codes,
)
from schemas.translations import CAMPAIGN_TEXT_NAMES, parse_placeholders, placeholders_for, text_names

DEFAULT_MINIMUM = 200
DEFAULT_MAXIMUM = 1_000_000
DEFAULT_PRESETS = {
    Frequency.ONCE: [500, 1500, 5000],
    Frequency.MONTHLY: [200, 700, 1500],
    Frequency.ANNUAL: [2500, 5000, 10000],
}
# A share of all there is, in hundredths of a percent: nothing that a reader adds could make up for it.
BASIS_POINTS = 10_000
COVER_FEES_DESCRIPTION = (
    "What the payment provider keeps of a payment, for readers who want to cover it. They are then charged "
    "ceil((amount + fixed) * 10000 / (10000 - basis_points)), rounded up to a whole multiple of `step`."
)
EXPONENT_DESCRIPTION = "How many decimals the currency has (ISO 4217): 2 for USD."
STEP_DESCRIPTION = "What is charged is a whole multiple of this; 1 for most currencies."


class FrequencyOptionSchema(StrictSchema):
    """What readers may give at one frequency, in minor units."""

    frequency = fields.Enum(Frequency, by_value=True, required=True)
    presets = fields.List(MinorUnits())
    default = MinorUnits()
    minimum = MinorUnits(load_default=DEFAULT_MINIMUM)
    maximum = MinorUnits(load_default=DEFAULT_MAXIMUM)

    @post_load
    def apply_defaults(self, choice: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Offer the usual presets that fit the limits, and the middle preset at first."""
        low, high = choice["minimum"], choice["maximum"]
        if low > high:
            raise ValidationError("The minimum is above the maximum.", "minimum")
        usual = [amount for amount in DEFAULT_PRESETS[choice["frequency"]] if low <= amount <= high]
        presets = choice.setdefault("presets", usual or [low])
        if not 1 <= len(presets) <= 6 or presets != sorted(set(presets)):
            raise ValidationError("Give one to six different amounts, the smallest first.", "presets")
        if presets[0] < low or presets[-1] > high:
            raise ValidationError(f"Presets must be from {low} to {high}, the limits given here.", "presets")
        choice.setdefault("default", presets[len(presets) // 2])
        if not low <= choice["default"] <= high:
            raise ValidationError(f"The default must be from {low} to {high}, the limits given here.", "default")
        return choice


class FeeRateSchema(StrictSchema):
    """What the payment provider keeps of each payment: a share in hundredths of a percent, and a fixed amount."""

    basis_points = BoundedInteger(
        minimum=0,
        maximum=BASIS_POINTS - 1,
        load_default=0,
        metadata={"minimum": 0, "maximum": BASIS_POINTS - 1, "example": 290},
    )
    fixed = BoundedInteger(
        minimum=0,
        maximum=MAX_AMOUNT,
        load_default=0,
        metadata={"minimum": 0, "maximum": MAX_AMOUNT, "example": 30},
    )

    @validates_schema(skip_on_field_errors=True)
    def validate_rate(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse to have readers cover nothing."""
        if not any(data.values()):
            raise ValidationError("Give what is kept, or null for readers to cover nothing.", "basis_points")


def validate_frequencies(offered: list[dict[str, Any]]) -> None:
    """Refuse an offer of nothing, or of the same frequency twice.

    Raises:
        ValidationError
    """
    words = [choice["frequency"] for choice in offered]
    if not words or len(set(words)) < len(words):
        raise ValidationError("Give each frequency once, and at least one.", "frequencies")


def has_two_decimals(code: object) -> bool:
    """Whether the usual amounts can be meant in this currency; what is no currency is refused elsewhere."""
    return not isinstance(code, str) or code not in currency_codes() or get_currency_precision(code) == 2


class CurrencyOptionSchema(StrictSchema):
    """What readers may give in another currency than the campaign's first."""

    currency = CurrencyCode(required=True)
    frequencies = fields.List(fields.Nested(FrequencyOptionSchema), required=True)
    cover_fees = fields.Nested(
        FeeRateSchema, load_default=None, allow_none=True, metadata={"description": COVER_FEES_DESCRIPTION}
    )

    @validates_schema(skip_on_field_errors=True)
    def validate_currency(self, data: dict[str, Any], **_: Any) -> None:
        """Check the frequencies together."""
        validate_frequencies(data["frequencies"])


class CurrencyOptionResponse(Schema):
    """What readers may give in another currency, as the widget reads it."""

    currency = fields.String(required=True)
    exponent = fields.Integer(required=True, metadata={"description": EXPONENT_DESCRIPTION})
    step = fields.Integer(required=True, metadata={"description": STEP_DESCRIPTION})
    frequencies = fields.List(fields.Nested(FrequencyOptionSchema), required=True)
    cover_fees = fields.Nested(
        FeeRateSchema, required=True, allow_none=True, metadata={"description": COVER_FEES_DESCRIPTION}
    )


class ReminderSettings(StrictSchema):
    """Whether readers may ask to be reminded, after how many months, again every how many, and who confirms."""

    enabled = fields.Boolean(load_default=True, truthy={True}, falsy={False})
    choices = fields.List(
        BoundedInteger(minimum=1, maximum=24, metadata={"minimum": 1, "maximum": 24}),
        load_default=lambda: [1],
    )
    repeats = fields.List(
        BoundedInteger(minimum=1, maximum=12, metadata={"minimum": 1, "maximum": 12}),
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
    def validate_intervals(self, reminder: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Refuse an offer of nothing, or of the same twice."""
        for name, fewest, payload in (("choices", 1, "one to"), ("repeats", 0, "at most")):
            offered = reminder[name]
            if not fewest <= len(offered) <= 6 or len(set(offered)) < len(offered):
                raise ValidationError(f"Give {payload} six different numbers of months.", name)
        return reminder


class ReminderOption(Schema):
    """One reminder that readers may ask for."""

    months = fields.Integer(required=True)
    repeat = fields.Boolean(required=True, metadata={"description": "Whether it comes again until they cancel."})
    label = fields.String(required=True, metadata={"example": "In 3 months"})


class ReminderSettingsResponse(ReminderSettings):
    """The reminder choices with the words for each of them, in the order in which readers see them."""

    options = fields.List(fields.Nested(ReminderOption), required=True)


# When nobody is to be written to any more, unless the campaign begins even later.
DEFAULT_AND_MAX_SEND_UNTIL = (21, 24)
LONGEST_NAME, LONGEST_TAX_LINE = 200, 500


class CampaignFile(StrictSchema):
    """A whole campaign, as staff write it."""

    slug = Slug(required=True)
    name = Text(max_length=200, required=True)
    heading = Text(max_length=200, required=True)
    message = fields.List(Text(max_length=2000, multiline=True), required=True)
    currency = CurrencyCode(load_default="USD")
    lang = LanguageTag(load_default="en")
    frequencies = fields.List(
        fields.Nested(FrequencyOptionSchema),
        load_default=lambda: FrequencyOptionSchema(many=True).load([{"frequency": word} for word in Frequency]),
        metadata={"description": "Must be given for a currency that does not count in hundredths."},
    )
    default_frequency = fields.Enum(Frequency, by_value=True)
    cover_fees = fields.Nested(
        FeeRateSchema, load_default=None, allow_none=True, metadata={"description": COVER_FEES_DESCRIPTION}
    )
    other_currencies = fields.List(
        fields.Nested(CurrencyOptionSchema),
        load_default=list,
        metadata={"description": "What readers may give in currencies besides `currency`."},
    )
    reminder = fields.Nested(ReminderSettings, load_default=lambda: ReminderSettings().load({}))
    privacy_url = WebUrl(load_default=None, allow_none=True)
    support_url = WebUrl(load_default=None, allow_none=True)
    legal_name = Text(
        max_length=LONGEST_NAME,
        load_default=None,
        allow_none=True,
        metadata={"description": "Who receives the money, as receipts name them."},
    )
    tax_line = Text(
        max_length=LONGEST_TAX_LINE,
        load_default=None,
        allow_none=True,
        metadata={"description": "What receipts say on tax, such as a number or whether a gift is deductible."},
    )
    origins = fields.List(
        RegexString(
            r"\*|https?://[A-Za-z0-9.\[\]:-]+/?",
            hint="Give an origin such as https://paper.example, or *.",
            longest=300,
        ),
        load_default=lambda: ["*"],
    )
    return_hosts = fields.List(
        RegexString(r"[A-Za-z0-9.-]+", hint="Give a host name such as paper.example.", longest=253),
        load_default=list,
    )
    timezone = TimezoneName(load_default="UTC")
    send_hour = BoundedInteger(minimum=0, maximum=23, load_default=9)
    send_until = BoundedInteger(
        minimum=1,
        maximum=24,
        metadata={"description": "Mails that are late wait from here to the next send_hour."},
    )
    texts = fields.Dict(
        keys=LanguageTag(),
        values=fields.Dict(keys=fields.String(), values=Text(max_length=8000, multiline=True)),
        load_default=dict,
    )

    @pre_load
    def split_message(self, data: Any, **_: Any) -> Any:
        """Read a text with blank lines as a list of paragraphs, as YAML makes easy to write."""
        if isinstance(data, dict) and isinstance(data.get("message"), str):
            return data | {"message": split_paragraphs(data["message"])}
        return data

    @pre_load
    def require_explicit_amounts(self, data: Any, **_: Any) -> Any:
        """Refuse to offer the usual amounts where they would mean a hundred times as much, or a tenth."""
        if isinstance(data, dict) and "frequencies" not in data:
            currency = data.get("currency", "USD")
            if not has_two_decimals(currency):
                raise ValidationError(f"Give amounts in {currency}; the usual ones are in dollars.", "frequencies")
        return data

    @validates_schema(skip_on_field_errors=True)
    def validate_campaign(self, data: dict[str, Any], **_: Any) -> None:
        """Check what only shows when the parts are seen together."""
        errors: dict[str, Any] = {}
        offered = [choice["frequency"] for choice in data["frequencies"]]
        try:
            validate_frequencies(data["frequencies"])
        except ValidationError as error:
            errors["frequencies"] = error.messages
        taken = [data["currency"], *(offer["currency"] for offer in data["other_currencies"])]
        if len(set(taken)) < len(taken):
            errors["other_currencies"] = [f"Give each currency once; {taken[0]} is the campaign's own."]
        if data.get("default_frequency") not in (None, *offered):
            errors["default_frequency"] = [f"Give one that is offered: {', '.join(offered)}."]
        if data.get("send_until", DEFAULT_AND_MAX_SEND_UNTIL[-1]) <= data["send_hour"]:
            errors["send_until"] = [f"Give an hour later than send_hour, {data['send_hour']}, and at most 24."]
        if not data["message"]:
            errors["message"] = ["Give at least one paragraph."]
        for lang, said in data["texts"].items():
            strange = {name: [wrong] for name, text in said.items() if (wrong := _text_error(name, text))}
            if strange:
                errors.setdefault("texts", {})[lang] = strange
        if errors:
            raise ValidationError(errors)

    @post_load
    def apply_defaults(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Write addresses in their one form, and choose the frequency shown at first and when the day ends."""
        offered = [choice["frequency"] for choice in data["frequencies"]]
        usual = Frequency.MONTHLY if Frequency.MONTHLY in offered else offered[0]
        data.setdefault("default_frequency", usual)
        data.setdefault(
            "send_until", next(hour for hour in DEFAULT_AND_MAX_SEND_UNTIL if hour > data["send_hour"])
        )
        data["origins"] = [origin.lower().rstrip("/") for origin in data["origins"]]
        data["return_hosts"] = [host.lower() for host in data["return_hosts"]]
        return data


def _text_error(name: str, text: str) -> str | None:
    """Return what is wrong with a text that is to be said differently: its name, or what stands in braces."""
    if name not in text_names():
        return unknown_field_message(name, sorted(text_names()))
    if name in CAMPAIGN_TEXT_NAMES:
        return None
    allowed = placeholders_for(name)
    try:
        strange = parse_placeholders(text) - allowed
    except ValueError:
        return "A brace stands alone; write {{ or }} to show one."
    if strange:
        offered = ", ".join(f"{{{word}}}" for word in sorted(allowed)) or "nothing"
        return f"This cannot be filled in: {', '.join(sorted(strange))}. In braces may stand: {offered}."
    return None


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text: what stands between blank lines, each on one line."""
    return [" ".join(part.split()) for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


class CampaignResponse(Schema):
    """What the widget shows, in one language."""

    slug = fields.String(required=True)
    name = fields.String(required=True)
    heading = fields.String(required=True)
    message = fields.List(fields.String(), required=True)
    currency = fields.String(required=True)
    exponent = fields.Integer(required=True, metadata={"description": EXPONENT_DESCRIPTION})
    step = fields.Integer(required=True, metadata={"description": STEP_DESCRIPTION})
    lang = fields.String(required=True)
    frequencies = fields.List(fields.Nested(FrequencyOptionSchema), required=True)
    default_frequency = fields.Enum(Frequency, by_value=True, required=True)
    cover_fees = fields.Nested(
        FeeRateSchema, required=True, allow_none=True, metadata={"description": COVER_FEES_DESCRIPTION}
    )
    other_currencies = fields.List(fields.Nested(CurrencyOptionResponse), required=True)
    reminder = fields.Nested(ReminderSettingsResponse, required=True)
    privacy_url = fields.String(required=True, allow_none=True)
    support_url = fields.String(required=True)
    legal_name = fields.String(required=True, allow_none=True)
    tax_line = fields.String(required=True, allow_none=True)
    texts = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "Every widget text that differs from the built-in English."},
    )
