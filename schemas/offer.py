"""What readers may give in one currency: in a campaign's file, and in the answer that the widget reads."""

from typing import Any

from babel.numbers import get_currency_precision
from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from schemas.base import StrictSchema
from schemas.fields import MAX_AMOUNT, BoundedInteger, CurrencyCode, MinorUnits, currency_codes
from schemas.vocabulary import Frequency

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
