"""A newsroom's own look: logo, colour, heading font and postal address, in a campaign file and in the response."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from schemas.base import StrictSchema
from schemas.colours import TEXT_CONTRAST, contrast, nearest_colour, normalise_colour, text_colour_on
from schemas.fields import RegexString, Text

# The hash of its content, and its width and height.
IMAGE_NAME_PATTERN = r"[0-9a-f]{32}-[1-9][0-9]{0,3}x[1-9][0-9]{0,3}\.(png|webp|svg)"
COLOUR_PATTERN = r"^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"
COLOUR_HINT = 'Give a colour in quotes, such as "#0f5c4e"; in YAML, # without quotes begins a comment.'
HEADING_FONTS = ("serif", "sans", "system")
MAX_POSTAL_ADDRESS_LENGTH = 500
LOGO_DESCRIPTION = (
    "The name of a stored image, which `mainstay campaign brand --logo FILE` prints. In a file that the command "
    "line applies it may also be the path of a PNG, WebP or SVG file, relative to the campaign file. Without this "
    "key the campaign keeps the logo that it has; null removes it."
)


class Colour(fields.String):
    """A colour, `#rgb` or `#rrggbb`; loaded as `#rrggbb` in lower case."""

    def __init__(self, **metadata: Any) -> None:
        super().__init__(
            error_messages={"invalid": COLOUR_HINT, "null": COLOUR_HINT},
            metadata={"pattern": COLOUR_PATTERN, **metadata},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            return normalise_colour(text.strip())
        except ValueError as error:
            raise ValidationError(COLOUR_HINT) from error


class ImageName(RegexString):
    """The name of a stored image."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            IMAGE_NAME_PATTERN,
            hint="Give the name that mainstay campaign brand --logo FILE prints, or null.",
            **kwargs,
        )


class BrandSchema(StrictSchema):
    """The look of a campaign. A key that is left out has Mainstay's own look, except that a logo stays."""

    logo = ImageName(allow_none=True, metadata={"description": LOGO_DESCRIPTION})
    logo_dark = ImageName(
        allow_none=True,
        metadata={"description": "Like `logo`, for dark mode; without one, `logo` has a light ground there."},
    )
    accent = Colour(
        description="Fills buttons. Where it is too pale or too dark for text, a shade of the same hue is used.",
        example="#b3261e",
    )
    on_accent = Colour(
        description="Text on `accent`, with a contrast of at least 4.5:1 (WCAG 2.2). By default white or dark.",
        example="#ffffff",
    )
    heading_font = fields.String(
        validate=validate.OneOf(HEADING_FONTS, error=f"Give one of {', '.join(HEADING_FONTS)}."),
        metadata={"description": "Each is a family that every device has."},
    )
    postal_address = Text(
        max_length=MAX_POSTAL_ADDRESS_LENGTH,
        multiline=True,
        metadata={"description": "For emails and receipts. Many countries ask for it in emails."},
    )

    @post_load
    def validate_contrast(self, brand: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Check that text on the accent is readable."""
        if "on_accent" not in brand:
            return brand
        if "accent" not in brand:
            raise ValidationError("Give accent too: this is the text on it.", "on_accent")
        accent, on_accent = brand["accent"], brand["on_accent"]
        if (found := contrast(accent, on_accent)) < TEXT_CONTRAST:
            raise ValidationError(_unreadable(accent, on_accent, found), "accent")
        return brand


def _unreadable(accent: str, on_accent: str, found: float) -> str:
    # Rounded down, so that 4.49 does not read as 4.5.
    problem = f"Text in {on_accent} on {accent} has a contrast of {int(found * 100) / 100:.2f}:1 and needs 4.5:1."
    nearest, readable = nearest_colour(accent, on_accent, TEXT_CONTRAST), text_colour_on(accent)
    return (
        f"{problem} The nearest accent that passes is {nearest}. Or leave out on_accent: text is then {readable}."
    )


class BrandResponse(Schema):
    """The look of a campaign, as the widget shows it; null where it is Mainstay's own."""

    logo = fields.String(
        required=True, allow_none=True, metadata={"format": "uri", "description": "An absolute URL."}
    )
    logo_width = fields.Integer(required=True, allow_none=True)
    logo_height = fields.Integer(required=True, allow_none=True)
    logo_dark = fields.String(required=True, allow_none=True, metadata={"format": "uri"})
    logo_dark_width = fields.Integer(required=True, allow_none=True)
    logo_dark_height = fields.Integer(required=True, allow_none=True)
    accent = fields.String(required=True, allow_none=True)
    on_accent = fields.String(required=True, allow_none=True)
    accent_hover = fields.String(
        required=True, allow_none=True, metadata={"description": "`accent` under the pointer."}
    )
    accent_on_light = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The shade of `accent` for text and focus rings on a light ground."},
    )
    accent_on_dark = fields.String(
        required=True, allow_none=True, metadata={"description": "The same on a dark ground."}
    )
    heading_font = fields.String(required=True, allow_none=True)
    postal_address = fields.String(required=True, allow_none=True)
