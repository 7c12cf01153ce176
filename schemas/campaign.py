"""Campaigns: the file that staff write, and the response that the widget reads."""

from typing import Any

from babel.numbers import get_currency_precision
from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validates_schema

from schemas.base import StrictSchema, unknown_field_message
from schemas.brand import BrandResponse, BrandSchema
from schemas.enums import Frequency, WaitingPolicy
from schemas.fields import (
    MAX_AMOUNT,
    BoundedInteger,
    CurrencyCode,
    JsonBoolean,
    LanguageTag,
    MinorUnits,
    MinorUnitsKey,
    Slug,
    Text,
    TimezoneName,
    WebHost,
    WebOrigin,
    WebUrl,
    currency_codes,
)
from schemas.plurals import plural_names, split_plural
from schemas.translations import (
    CAMPAIGN_TEXT_NAMES,
    REMINDER_NOTE,
    parse_placeholders,
    placeholders_for,
    plural_text_bases,
    text_names,
)

DEFAULT_MINIMUM = 200
DEFAULT_MAXIMUM = 1_000_000
DEFAULT_PRESETS = {
    Frequency.ONCE: [500, 1500, 5000],
    Frequency.MONTHLY: [200, 700, 1500],
    Frequency.ANNUAL: [2500, 5000, 10000],
}
# 100 %. A fee rate must be below it, because no total would cover a fee of the whole total.
BASIS_POINTS = 10_000
COVER_FEES_DESCRIPTION = (
    "The payment provider's fee, for readers who want to cover it. They are then charged "
    "ceil((amount + fixed) * 10000 / (10000 - basis_points)), rounded up to a whole multiple of `step`."
)
ONE_OF_EACH = {"minItems": 1, "maxItems": len(Frequency)}
MAX_IMPACT_LENGTH = 60
IMPACT_DESCRIPTION = (
    "What an amount pays for, for readers who choose it: by frequency, and by preset in minor units. "
    f"A line has at most {MAX_IMPACT_LENGTH} characters."
)
EXPONENT_DESCRIPTION = "The number of decimals of the currency (ISO 4217): 2 for USD."
STEP_DESCRIPTION = "A charge must be a multiple of this, in minor units; 1 for most currencies."


class FrequencyOptionSchema(StrictSchema):
    """The amounts that readers may pledge at one frequency, in minor units."""

    frequency = fields.Enum(Frequency, by_value=True, required=True)
    presets = fields.List(
        MinorUnits(),
        metadata={"minItems": 1, "maxItems": 6, "uniqueItems": True, "description": "The smallest first."},
    )
    default = MinorUnits()
    minimum = MinorUnits(load_default=DEFAULT_MINIMUM)
    maximum = MinorUnits(load_default=DEFAULT_MAXIMUM)

    @post_load
    def apply_defaults(self, option: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Check the limits; by default, offer the usual presets within them and preselect the middle one."""
        low, high = option["minimum"], option["maximum"]
        if low > high:
            raise ValidationError("The minimum is above the maximum.", "minimum")
        default_presets = [amount for amount in DEFAULT_PRESETS[option["frequency"]] if low <= amount <= high]
        presets = option.setdefault("presets", default_presets or [low])
        if not 1 <= len(presets) <= 6 or presets != sorted(set(presets)):
            raise ValidationError("Give one to six different amounts, the smallest first.", "presets")
        if presets[0] < low or presets[-1] > high:
            raise ValidationError(f"Presets must be from {low} to {high}, the limits given here.", "presets")
        option.setdefault("default", presets[len(presets) // 2])
        if not low <= option["default"] <= high:
            raise ValidationError(f"The default must be from {low} to {high}, the limits given here.", "default")
        return option


class FeeRateSchema(StrictSchema):
    """The payment provider's fee for each payment: basis points of the total, plus a fixed amount."""

    basis_points = BoundedInteger(
        minimum=0,
        maximum=BASIS_POINTS - 1,
        load_default=0,
        metadata={"example": 290},
    )
    fixed = BoundedInteger(
        minimum=0,
        maximum=MAX_AMOUNT,
        load_default=0,
        metadata={"example": 30},
    )

    @validates_schema(skip_on_field_errors=True)
    def validate_rate(self, data: dict[str, Any], **_: Any) -> None:
        """Check that the fee is not zero."""
        if not any(data.values()):
            raise ValidationError("Give what is kept, or null for readers to cover nothing.", "basis_points")


def validate_frequencies(options: list[dict[str, Any]]) -> None:
    """Check that at least one frequency is offered, and none twice.

    Raises:
        ValidationError: for the field `frequencies`.
    """
    frequencies = [option["frequency"] for option in options]
    if not frequencies or len(set(frequencies)) < len(frequencies):
        raise ValidationError("Give each frequency once, and at least one.", "frequencies")


def has_two_decimals(code: object) -> bool:
    """Whether the default amounts make sense in this currency; the field itself rejects unknown codes."""
    return not isinstance(code, str) or code not in currency_codes() or get_currency_precision(code) == 2


def impact_field(**kwargs: Any) -> fields.Dict:
    """Return the field of the lines that say what an amount pays for."""
    lines = fields.Dict(
        keys=MinorUnitsKey(),
        values=Text(max_length=MAX_IMPACT_LENGTH),
        metadata={"propertyNames": {"pattern": "^[0-9]+$"}},
    )
    metadata = {
        "description": IMPACT_DESCRIPTION,
        "propertyNames": {"enum": list(Frequency)},
        "example": {"monthly": {"700": "$7 pays for one records request"}},
    }
    return fields.Dict(keys=fields.Enum(Frequency, by_value=True), values=lines, metadata=metadata, **kwargs)


def impact_text_name(frequency: Frequency, amount_minor: int, other_currency: str | None = None) -> str:
    """Return the name of a line in another language, under `texts`: `impact_monthly_700`."""
    return "_".join(("impact", frequency, str(amount_minor), *([other_currency] if other_currency else ())))


def _impact_errors(offer: dict[str, Any]) -> dict[str, Any]:
    """Return the error of each line whose amount readers cannot choose, by frequency and amount."""
    options = {option["frequency"]: option for option in offer["frequencies"]}
    errors: dict[str, Any] = {}
    for frequency, lines in offer["impact"].items():
        if frequency not in options:
            errors[frequency] = [f"{frequency} isn't offered in {offer['currency']}; remove its lines."]
            continue
        presets = options[frequency]["presets"]
        for amount in lines:
            if amount not in presets:
                known = ", ".join(map(str, presets))
                errors.setdefault(frequency, {})[amount] = [f"This isn't a preset; give one of {known}."]
    return errors


def _impact_text_names(file: dict[str, Any]) -> set[str]:
    """Return the names of the texts that a campaign file may give its lines in other languages."""
    offers = [(None, file), *((offer["currency"], offer) for offer in file["other_currencies"])]
    return {
        impact_text_name(frequency, amount, currency)
        for currency, offer in offers
        for frequency, lines in offer["impact"].items()
        for amount in lines
    }


class CurrencyOptionSchema(StrictSchema):
    """The amounts that readers may pledge in a currency other than the campaign's main one."""

    currency = CurrencyCode(required=True)
    frequencies = fields.List(fields.Nested(FrequencyOptionSchema), required=True, metadata=ONE_OF_EACH)
    cover_fees = fields.Nested(
        FeeRateSchema, load_default=None, allow_none=True, metadata={"description": COVER_FEES_DESCRIPTION}
    )
    impact = impact_field(load_default=dict)

    @validates_schema(skip_on_field_errors=True)
    def validate_currency(self, data: dict[str, Any], **_: Any) -> None:
        """Check the list of frequencies, and the lines of the amounts."""
        validate_frequencies(data["frequencies"])
        if errors := _impact_errors(data):
            raise ValidationError({"impact": errors})


class CurrencyOptionResponse(Schema):
    """A `CurrencyOptionSchema` as the widget reads it, with the currency's exponent and step."""

    currency = fields.String(required=True)
    exponent = fields.Integer(required=True, metadata={"description": EXPONENT_DESCRIPTION})
    step = fields.Integer(required=True, metadata={"description": STEP_DESCRIPTION})
    frequencies = fields.List(fields.Nested(FrequencyOptionSchema), required=True)
    cover_fees = fields.Nested(
        FeeRateSchema, required=True, allow_none=True, metadata={"description": COVER_FEES_DESCRIPTION}
    )
    impact = impact_field(required=True)


class ReminderSettings(StrictSchema):
    """The reminders that a campaign offers, in months, and whether readers must confirm their address."""

    enabled = JsonBoolean(load_default=True)
    choices = fields.List(
        BoundedInteger(minimum=1, maximum=24),
        load_default=lambda: [1],
        metadata={"minItems": 1, "maxItems": 6, "uniqueItems": True},
    )
    repeats = fields.List(
        BoundedInteger(minimum=1, maximum=12),
        load_default=list,
        metadata={
            "maxItems": 6,
            "uniqueItems": True,
            "description": "Intervals in months at which a reminder may repeat until its reader cancels.",
        },
    )
    confirm = JsonBoolean(
        load_default=False,
        metadata={"description": "Whether a reader must first confirm by email that the reminder is theirs."},
    )
    pick_date = JsonBoolean(
        load_default=False,
        metadata={"description": "Whether a reader may also pick a day, from tomorrow until 12 months ahead."},
    )

    @post_load
    def validate_intervals(self, reminder: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Check the number of choices and repeats, and that none is listed twice."""
        for name, min_length, range_text in (("choices", 1, "one to"), ("repeats", 0, "at most")):
            months = reminder[name]
            if not min_length <= len(months) <= 6 or len(set(months)) < len(months):
                raise ValidationError(f"Give {range_text} six different numbers of months.", name)
        return reminder


class NoticeSettings(StrictSchema):
    """The emails about recurring support that a campaign may decide on."""

    monthly_yearly = JsonBoolean(
        load_default=False,
        metadata={
            "description": "Whether monthly supporters get an email once a year that says what they give and how "
            "to cancel, as California and New York ask for."
        },
    )
    renewal_days = BoundedInteger(
        minimum=1,
        maximum=60,
        load_default=14,
        metadata={"description": "At least how many days before an annual renewal its email is sent."},
    )


class ReminderOption(Schema):
    """A reminder that readers may choose, with its label."""

    months = fields.Integer(required=True)
    repeat = fields.Boolean(
        required=True, metadata={"description": "Whether it repeats until the reader cancels."}
    )
    label = fields.String(required=True, metadata={"example": "In 3 months"})
    button = fields.String(
        required=True,
        metadata={"description": "The label of the button that sets it.", "example": "Remind me in 3 months"},
    )


class ReminderSettingsResponse(ReminderSettings):
    """The reminder settings, and the options with their labels in display order."""

    options = fields.List(fields.Nested(ReminderOption), required=True)


DEFAULT_QUIET_DAYS = 30
QUIET_DAYS_DESCRIPTION = (
    "For how many days a box stays hidden after its reader closed it, where the page lets the box remember that "
    '(`storage="local"`).'
)
# The default end of the sending hours, and the latest one, for a campaign that starts sending after the default.
DEFAULT_AND_MAX_SEND_UNTIL = (21, 24)
MAX_NAME_LENGTH, MAX_TAX_LINE_LENGTH = 200, 500
# An email holds the note twice, and some programs cut off large ones.
MAX_REMINDER_NOTE_LENGTH = 1000


class CampaignFile(StrictSchema):
    """A campaign file, as staff write it."""

    slug = Slug(required=True)
    name = Text(max_length=200, required=True)
    heading = Text(max_length=200, required=True)
    message = fields.List(Text(max_length=2000, multiline=True), required=True, metadata={"minItems": 1})
    currency = CurrencyCode(load_default="USD")
    lang = LanguageTag(load_default="en")
    frequencies = fields.List(
        fields.Nested(FrequencyOptionSchema),
        load_default=lambda: FrequencyOptionSchema(many=True).load(
            [{"frequency": frequency} for frequency in Frequency]
        ),
        metadata=ONE_OF_EACH | {"description": "Required for a currency that does not have two decimals."},
    )
    default_frequency = fields.Enum(Frequency, by_value=True)
    cover_fees = fields.Nested(
        FeeRateSchema, load_default=None, allow_none=True, metadata={"description": COVER_FEES_DESCRIPTION}
    )
    other_currencies = fields.List(
        fields.Nested(CurrencyOptionSchema),
        load_default=list,
        metadata={"description": "Amounts in currencies other than `currency`."},
    )
    impact = impact_field(load_default=dict)
    reminder = fields.Nested(ReminderSettings, load_default=lambda: ReminderSettings().load({}))
    notices = fields.Nested(NoticeSettings, load_default=lambda: NoticeSettings().load({}))
    quiet_days = BoundedInteger(
        minimum=1, maximum=365, load_default=DEFAULT_QUIET_DAYS, metadata={"description": QUIET_DAYS_DESCRIPTION}
    )
    privacy_url = WebUrl(load_default=None, allow_none=True)
    support_url = WebUrl(load_default=None, allow_none=True)
    contact_url = WebUrl(
        load_default=None,
        allow_none=True,
        metadata={"description": "The page on which readers reach you. Error pages link to it."},
    )
    newsletter_url = WebUrl(
        load_default=None,
        allow_none=True,
        metadata={"description": "The page to sign up for your newsletter on. The thank-you page links to it."},
    )
    legal_name = Text(
        max_length=MAX_NAME_LENGTH,
        load_default=None,
        allow_none=True,
        metadata={"description": "The legal name of the recipient, for receipts."},
    )
    tax_line = Text(
        max_length=MAX_TAX_LINE_LENGTH,
        load_default=None,
        allow_none=True,
        metadata={"description": "A line on tax for receipts, such as a tax number or whether it is deductible."},
    )
    brand = fields.Nested(
        BrandSchema,
        allow_none=True,
        metadata={"description": "The newsroom's own look; null removes all of it, with the logo."},
    )
    origins = fields.List(
        WebOrigin(metadata={"description": "As browsers write it; other spellings are normalised."}),
        load_default=lambda: ["*"],
    )
    return_hosts = fields.List(
        WebHost(metadata={"description": "As browsers write it; other spellings are normalised."}),
        load_default=list,
    )
    timezone = TimezoneName(load_default="UTC")
    send_hour = BoundedInteger(minimum=0, maximum=23, load_default=9)
    send_until = BoundedInteger(
        minimum=1,
        maximum=24,
        metadata={"description": "Late emails wait from this hour until the next send_hour."},
    )
    texts = fields.Dict(
        keys=LanguageTag(),
        values=fields.Dict(keys=fields.String(), values=Text(max_length=8000, multiline=True)),
        load_default=dict,
    )

    @pre_load
    def split_message(self, data: Any, **_: Any) -> Any:
        """Accept a string with blank lines between paragraphs, which is easy to write in YAML."""
        if isinstance(data, dict) and isinstance(data.get("message"), str):
            return data | {"message": split_paragraphs(data["message"])}
        return data

    @pre_load
    def require_explicit_amounts(self, data: Any, **_: Any) -> Any:
        """Require amounts for a currency in which the default minor units would be a hundred times as much."""
        if isinstance(data, dict) and "frequencies" not in data:
            currency = data.get("currency", "USD")
            if not has_two_decimals(currency):
                raise ValidationError(f"Give amounts in {currency}; the usual ones are in dollars.", "frequencies")
        return data

    @validates_schema(skip_on_field_errors=True)
    def validate_campaign(self, data: dict[str, Any], **_: Any) -> None:
        """Check the rules that involve several fields."""
        errors: dict[str, Any] = {}
        offered = [option["frequency"] for option in data["frequencies"]]
        try:
            validate_frequencies(data["frequencies"])
        except ValidationError as error:
            errors["frequencies"] = error.messages
        currencies = [data["currency"], *(option["currency"] for option in data["other_currencies"])]
        if len(set(currencies)) < len(currencies):
            errors["other_currencies"] = [f"Give each currency once; {currencies[0]} is the campaign's own."]
        if data.get("default_frequency") not in (None, *offered):
            errors["default_frequency"] = [f"Give one that is offered: {', '.join(offered)}."]
        if data.get("send_until", DEFAULT_AND_MAX_SEND_UNTIL[-1]) <= data["send_hour"]:
            errors["send_until"] = [f"Give an hour later than send_hour, {data['send_hour']}, and at most 24."]
        if impact_errors := _impact_errors(data):
            errors["impact"] = impact_errors
        if not data["message"]:
            errors["message"] = ["Give at least one paragraph."]
        impact_names = _impact_text_names(data)
        for lang, texts in data["texts"].items():
            text_errors = {
                name: [fault]
                for name, text in texts.items()
                if (fault := _text_error(lang, name, text, impact_names=impact_names))
            }
            if text_errors:
                errors.setdefault("texts", {})[lang] = text_errors
        if errors:
            raise ValidationError(errors)

    @post_load
    def apply_defaults(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Choose the default frequency and the end of the sending hours, and list each origin and host once."""
        offered = [option["frequency"] for option in data["frequencies"]]
        default_frequency = Frequency.MONTHLY if Frequency.MONTHLY in offered else offered[0]
        data.setdefault("default_frequency", default_frequency)
        data.setdefault(
            "send_until", next(hour for hour in DEFAULT_AND_MAX_SEND_UNTIL if hour > data["send_hour"])
        )
        for name in ("origins", "return_hosts"):
            data[name] = list(dict.fromkeys(data[name]))
        return data


def _text_error(lang: str, name: str, text: str, *, impact_names: set[str]) -> str | None:
    """Return the error of a text override, which has an unknown name or placeholder, or None."""
    if name in impact_names:
        too_long = len(text) > MAX_IMPACT_LENGTH
        return f"Use at most {MAX_IMPACT_LENGTH} characters." if too_long else None
    if name.startswith("impact_"):
        known = ", ".join(sorted(impact_names))
        return f"`impact` has no line for this. Those it has: {known}." if known else "`impact` has no lines."
    known_names = text_names(lang)
    if name not in known_names:
        base = next(
            (base for base in (name, (split_plural(name) or ("",))[0]) if base in plural_text_bases()), None
        )
        if base is None:
            return unknown_field_message(name, sorted(known_names))
        return f"This text depends on a number. In {lang!r} its forms are {', '.join(plural_names(base, lang))}."
    if name == REMINDER_NOTE and len(text) > MAX_REMINDER_NOTE_LENGTH:
        return f"Use at most {MAX_REMINDER_NOTE_LENGTH} characters, so that the email stays small."
    if name in CAMPAIGN_TEXT_NAMES:
        return None
    allowed = placeholders_for(name)
    try:
        unknown = parse_placeholders(text) - allowed
    except ValueError:
        return "Unmatched brace; use {{ or }} to show one."
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in sorted(allowed)) or "nothing"
        return f"Unknown placeholder: {', '.join(sorted(unknown))}. Allowed: {known}."
    return None


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, which blank lines separate, each as one line."""
    return [" ".join(part.split()) for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]


class CampaignUpdateQuery(StrictSchema):
    """What becomes of waiting reminders when a campaign is replaced."""

    waiting = fields.Enum(
        WaitingPolicy,
        by_value=True,
        metadata={
            "description": "Required if reminders are waiting that the campaign would no longer offer: `keep` "
            "still sends each once, `cancel` sends none. Without it the request is a 409 `reminders_waiting`."
        },
    )


class CampaignResponse(Schema):
    """A campaign in one language, as the widget shows it."""

    slug = fields.String(required=True)
    name = fields.String(required=True)
    closed = fields.Boolean(
        required=True,
        metadata={
            "description": "Whether the campaign is closed and takes no donations. `heading` and `message` then "
            "say so, and `reminder.enabled` is false."
        },
    )
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
    impact = impact_field(required=True)
    other_currencies = fields.List(fields.Nested(CurrencyOptionResponse), required=True)
    quiet_days = fields.Integer(required=True, metadata={"description": QUIET_DAYS_DESCRIPTION})
    reminder = fields.Nested(ReminderSettingsResponse, required=True)
    privacy_url = fields.String(required=True, allow_none=True)
    support_url = fields.String(required=True)
    manage_url = fields.String(
        required=True, metadata={"description": "The page on which supporters manage their support."}
    )
    contact_url = fields.String(required=True, allow_none=True)
    newsletter_url = fields.String(required=True, allow_none=True)
    legal_name = fields.String(required=True, allow_none=True)
    tax_line = fields.String(required=True, allow_none=True)
    brand = fields.Nested(
        BrandResponse, required=True, allow_none=True, metadata={"description": "The newsroom's own look, if any."}
    )
    texts = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={
            "description": "The widget texts that differ from the English ones; with `texts=full`, also those "
            "that the widget does not have built in."
        },
    )
