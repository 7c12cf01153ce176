"""Custom marshmallow fields: each rejects ambiguous input with a message that says what it expects.

Each also states its rules as JSON Schema in its metadata, from which the OpenAPI document takes them. White space
around a text is trimmed before the rules apply, which JSON Schema cannot say.
"""

import datetime
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import list_currencies
from marshmallow import ValidationError, fields, validate

from schemas.web_origins import InvalidOrigin, parse_host, parse_origin

# Ten billion dollars in cents: more is a mistake, whatever the campaign's maximum.
MAX_AMOUNT = 10**12
MAX_URL_LENGTH = 2048
MAX_ADDRESS_LENGTH = 320
# RFC 5646, section 4.4.1, recommends room for 35 characters.
MAX_LANGUAGE_TAG_LENGTH = 35
MAX_SENT_LANGUAGE_TAG_LENGTH = 2048
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# For the OpenAPI document. Hosts in other scripts and IPv6 addresses are accepted, too.
WEB_URL_PATTERN = r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[1-9][0-9]{0,3})?([/?#][!-\[\]-~]*)?$"
# Control characters and surrogates: the Unicode categories Cc and Cs, which are fixed.
CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
CONTROL_CHARACTERS_EXCEPT_NEWLINE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# The same for the patterns of the OpenAPI document, where no string can hold a surrogate.
CONTROLS, CONTROLS_EXCEPT_NEWLINE = r"\x00-\x1f\x7f-\x9f", r"\x00-\x09\x0b-\x1f\x7f-\x9f"


@cache
def currency_codes() -> frozenset[str]:
    """Return every ISO 4217 code that Babel knows."""
    return frozenset(list_currencies())


@cache
def _timezone_names() -> frozenset[str]:
    # The tzdata package's list, so that the result does not depend on the machine's zone files.
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def _with_rules(options: dict[str, Any], **rules: Any) -> dict[str, Any]:
    """Return a field's options with JSON Schema keywords in its metadata; those given there already stay."""
    return options | {"metadata": rules | options.get("metadata", {})}


class MinorUnits(fields.Integer):
    """An amount in minor units: a JSON integer above zero, never converted and never rounded."""

    def __init__(self, **kwargs: Any) -> None:
        invalid = "Give a whole number of minor units, such as 750 for $7.50."
        limits = validate.And(
            validate.Range(min=1, error="The amount must be more than zero."),
            validate.Range(max=MAX_AMOUNT, error="The amount is too large."),
        )
        kwargs = _with_rules(kwargs, minimum=1, maximum=MAX_AMOUNT)
        super().__init__(strict=True, validate=limits, error_messages={"invalid": invalid}, **kwargs)


class MinorUnitsKey(MinorUnits):
    """An amount in minor units as the key of an object, which JSON writes as text: `"750"`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        return super()._deserialize(value, attr, data, **kwargs)


class BoundedInteger(fields.Integer):
    """A JSON integer from `minimum` to `maximum`; rejects `5.0`, `"5"` and `true`."""

    def __init__(self, *, minimum: int, maximum: int, **kwargs: Any) -> None:
        invalid = f"Give a whole number from {minimum} to {maximum}."
        limits = validate.Range(min=minimum, max=maximum, error=invalid)
        super().__init__(strict=True, validate=limits, error_messages={"invalid": invalid}, **kwargs)


class JsonBoolean(fields.Boolean):
    """A JSON boolean; rejects `1`, `"true"` and everything else that Python calls true."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages={"invalid": "Give true or false."}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class QueryFlag(fields.Boolean):
    """A boolean in a query: `true`, `false`, `1` or `0`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            truthy={"1", "true"},
            falsy={"0", "false"},
            error_messages={"invalid": "Give true or false."},
            **_with_rules(kwargs, type="string", enum=["true", "false", "1", "0"]),
        )


class Text(fields.String):
    """Trimmed text that is not empty and has no characters that databases or emails cannot contain.

    `max_length` is in characters. With `multiline` it may have line breaks.
    """

    def __init__(self, *, max_length: int, multiline: bool = False, **kwargs: Any) -> None:
        allowed, visible = (f"[^{excluded}]" for excluded in (CONTROLS, r"\s" + CONTROLS))
        if multiline:
            allowed = f"[^{CONTROLS_EXCEPT_NEWLINE}]"
        pattern = f"^{allowed}*{visible}{allowed}*$"
        super().__init__(**_with_rules(kwargs, minLength=1, maxLength=max_length, pattern=pattern))
        self.max_length = max_length
        self.forbidden = CONTROL_CHARACTERS_EXCEPT_NEWLINE if multiline else CONTROL_CHARACTERS

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs).strip()
        if not text:
            raise ValidationError("This must not be empty.")
        if len(text) > self.max_length:
            raise ValidationError(f"Use at most {self.max_length} characters.")
        if self.forbidden.search(text):
            raise ValidationError("This holds characters that cannot be stored; remove them.")
        return text


class PageTitle(fields.String):
    """The title of a page, as one line: pages set it, so what a line cannot hold is replaced and not refused."""

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(**_with_rules(kwargs, maxLength=max_length))
        self.max_length = max_length

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        title: str = super()._deserialize(value, attr, data, **kwargs)
        if len(title) > self.max_length:
            raise ValidationError(f"Use at most {self.max_length} characters.")
        return " ".join(CONTROL_CHARACTERS.sub(" ", title).split())


class CalendarDate(fields.Date):
    """A date, written as 2026-12-23."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages={"invalid": "Give a date such as 2026-12-23."}, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime.date:
        # Python also accepts other forms of ISO 8601, such as weeks; RFC 3339 allows one.
        if not (isinstance(value, str) and DATE.fullmatch(value)):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        return super()._deserialize(value, attr, data, **kwargs)


class EmailAddress(Text):
    """Text that is to be an email address; `service.domain.email.addresses` decides whether it is one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_ADDRESS_LENGTH, **_with_rules(kwargs, format="email", minLength=3))


class WebUrl(Text):
    """An absolute http or https URL that all programs parse alike: no credentials, backslashes or spaces."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs = _with_rules(kwargs, format="uri", pattern=WEB_URL_PATTERN, minLength=8)
        super().__init__(max_length=MAX_URL_LENGTH, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        url: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            parts = urlsplit(url)
            valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            valid = False
        if not valid or parts.scheme not in ("http", "https") or "@" in parts.netloc or re.search(r"[\s\\]", url):
            raise ValidationError("Give a full web address, such as https://paper.example/article.")
        return url


class WebOrigin(Text):
    """The origin of a site, or `*`, normalised as browsers write it in the `Origin` header."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=300, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            return parse_origin(text)
        except InvalidOrigin as error:
            raise ValidationError(str(error)) from error


class WebHost(Text):
    """The host name of a site, normalised as browsers write it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=253, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            return parse_host(text)
        except InvalidOrigin as error:
            raise ValidationError(str(error)) from error


class RegexString(Text):
    """Text that matches a pattern; `hint` is the error message, which describes the pattern."""

    def __init__(self, pattern: str, *, hint: str, max_length: int = 64, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **_with_rules(kwargs, pattern=f"^({pattern})$"))
        self.pattern, self.hint = re.compile(pattern), hint

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not self.pattern.fullmatch(text):
            raise ValidationError(self.hint)
        return text


class Slug(RegexString):
    """A campaign's name in URLs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "[a-z0-9]+(-[a-z0-9]+)*",
            hint="Use lower-case letters, digits and single hyphens, such as spring-appeal.",
            **kwargs,
        )


class LanguageTag(RegexString):
    """A BCP 47 language tag."""

    def __init__(self, *, max_length: int = MAX_LANGUAGE_TAG_LENGTH, **kwargs: Any) -> None:
        super().__init__(
            "[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*",
            hint="Give a language tag such as en or pt-BR.",
            max_length=max_length,
            **kwargs,
        )


class ReaderLanguage(LanguageTag):
    """The BCP 47 tag of a reader's page. A long one loses its last subtags (RFC 5646, section 4.4.2)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=MAX_SENT_LANGUAGE_TAG_LENGTH,
            **_with_rules(
                kwargs,
                description=f"Of a tag longer than {MAX_LANGUAGE_TAG_LENGTH} characters, the first subtags count.",
            ),
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        tag: str = super()._deserialize(value, attr, data, **kwargs)
        while len(tag) > MAX_LANGUAGE_TAG_LENGTH or tag[-2:-1] == "-":
            # A singleton such as "-x" has no meaning without what follows it.
            tag = tag.rpartition("-")[0]
        return tag


class CurrencyCode(RegexString):
    """An ISO 4217 code."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs = _with_rules(kwargs, enum=sorted(currency_codes()))
        super().__init__("[A-Z]{3}", hint="Give an ISO 4217 code such as USD.", **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        code: str = super()._deserialize(value, attr, data, **kwargs)
        if code not in currency_codes():
            raise ValidationError(self.hint)
        return code


class TimezoneName(Text):
    """The exact name of a zone in the IANA time zone database."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, **_with_rules(kwargs, enum=sorted(_timezone_names())))

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        name: str = super()._deserialize(value, attr, data, **kwargs)
        if name not in _timezone_names():
            raise ValidationError("Give a time zone such as Europe/Amsterdam.")
        return name


class Timestamp(fields.Field[datetime.datetime]):
    """RFC 3339 in UTC with `Z`, to the second; only for responses."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**_with_rules(kwargs, type="string", format="date-time"))

    def _serialize(self, value: datetime.datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_timestamp(value)


def format_timestamp(instant: datetime.datetime) -> str:
    """Return an instant as RFC 3339 in UTC with `Z`, to the second."""
    return instant.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
