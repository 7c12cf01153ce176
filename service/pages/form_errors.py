"""Describe form errors in the reader's language, beside the field that they belong to."""

from dataclasses import dataclass

from babel.lists import format_list

from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import options_for_currency
from service.domain.errors import (
    AmountNotChargeable,
    DomainError,
    DueDateOutOfRange,
    PaymentsUnavailable,
    UnparsableAmount,
)
from service.domain.money import Money, format_input_amount, format_money, resolve_locale
from service.pages.api_docs import http_status_for
from service.pages.formatting import format_day
from service.pages.translations import Texts


class FormError(Exception):
    """A form that cannot be parsed. `code` is looked up like that of a domain error."""

    def __init__(self, code: str, *, field: str) -> None:
        super().__init__(code)
        self.code, self.field = code, field


@dataclass(frozen=True)
class Suggestion:
    """An amount that the reader may have meant: as text for the field, and as the label of a button."""

    value: str
    label: str


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """An error message with its field (`form` for the whole form) and the HTTP status of the response.

    The same form may succeed later if `is_retryable`.
    """

    field: str
    message: str
    status: int
    is_retryable: bool = False
    suggestion: Suggestion | None = None


# The form field and the text name of an error code. Any other code is shown on an error page.
FIELD_AND_TEXT_BY_CODE = {
    "frequency_missing": ("frequency", "frequency_missing"),
    "frequency_not_offered": ("form", "offer_changed"),
    "reminders_not_offered": ("form", "offer_changed"),
    "amount_missing": ("amount", "amount_missing"),
    "unreadable_amount": ("amount", "amount_invalid"),
    "amount_below_minimum": ("amount", "amount_below_minimum"),
    "amount_above_maximum": ("amount", "amount_above_maximum"),
    "email_missing": ("email", "email_missing"),
    "invalid_email": ("email", "email_invalid"),
    "address_not_supported": ("email", "email_not_supported"),
    "due_on_out_of_range": ("due_on", "reminder_day_error"),
    "reminder_choice_not_offered": ("months", "reminder_choice_not_offered"),
    "amount_not_chargeable": ("amount", "amount_not_chargeable"),
    "currency_not_accepted": ("form", "currency_not_accepted"),
    "payments_unavailable": ("form", "payments_unavailable"),
    "request_in_progress": ("form", "request_in_progress"),
    "campaign_closed": ("form", "campaign_closed_heading"),
}


def describe_error(
    error: FormError | DomainError,
    texts: Texts,
    campaign: Campaign,
    *,
    frequency: str = "",
    currency: str | None = None,
) -> FieldError:
    """Return the message for an error.

    `frequency` and `currency` are the form's values; `currency` defaults to the campaign's.

    Raises:
        FormError | DomainError: `error` itself, if it belongs to no field.
    """
    if error.code not in FIELD_AND_TEXT_BY_CODE:
        raise error
    amount_currency = currency or campaign.currency
    if isinstance(error, UnparsableAmount):
        return describe_typed_amount(error, texts, amount_currency)

    def format_amount(amount_minor: int) -> str:
        return format_money(Money(amount_minor, amount_currency), texts.lang)

    options = {option.frequency.value: option for option in options_for_currency(campaign, amount_currency)}
    values = {"campaign": campaign.name}
    if frequency in options:
        option = options[frequency]
        limit = option.minimum_minor if error.code == "amount_below_minimum" else option.maximum_minor
        values["limit"] = format_amount(limit)
    if isinstance(error, AmountNotChargeable):
        amounts = [format_amount(amount_minor) for amount_minor in error.alternatives]
        values["amounts"] = format_list(amounts, style="or", locale=resolve_locale(texts.lang))
    if isinstance(error, DueDateOutOfRange):
        first, last = (format_day(day, campaign, texts) for day in (error.earliest, error.latest))
        values |= {"first": first, "last": last}
    field, name = FIELD_AND_TEXT_BY_CODE[error.code]
    return FieldError(
        field=field,
        message=texts.format(name, **values),
        status=http_status_for(error) if isinstance(error, DomainError) else 422,
        is_retryable=isinstance(error, PaymentsUnavailable),
    )


def describe_typed_amount(error: UnparsableAmount, texts: Texts, currency: str) -> FieldError:
    """Return why a typed amount is none, with what the reader may have meant."""
    if error.suggested_minor is None:
        message = texts.format(error.text_name, **error.values)
        return FieldError(field="amount", message=message, status=422)
    suggested = Money(error.suggested_minor, currency)
    amount = format_money(suggested, texts.lang)
    return FieldError(
        field="amount",
        message=texts.format(error.text_name, amount=amount),
        status=422,
        suggestion=Suggestion(
            format_input_amount(suggested, texts.lang), texts.format("amount_use", amount=amount)
        ),
    )
