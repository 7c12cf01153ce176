"""What is wrong with a form, said to the reader in their language, beside the field that it is about."""

from dataclasses import dataclass

from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import options_for_currency
from service.domain.errors import AmountNotChargeable, DomainError, PaymentsUnavailable
from service.domain.money import Money, format_money
from service.pages.api_docs import http_status_for
from service.pages.formatting import format_input_amount
from service.pages.translations import Texts


class FormError(Exception):
    """A form that cannot be read; `code` is said like that of a domain error."""

    def __init__(self, code: str, *, field: str) -> None:
        super().__init__(code)
        self.code, self.field = code, field


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """A complaint in words, the field it belongs to (`form` for the whole), and the answer's HTTP status.

    With `is_retryable`, the same form sent again later may succeed.
    """

    field: str
    message: str
    status: int
    is_retryable: bool = False


# Where a refusal belongs in our forms, and the text that says it; one that is not here gets a page of its own.
FIELD_AND_TEXT_BY_CODE = {
    "frequency_missing": ("frequency", "frequency_missing"),
    "frequency_not_offered": ("frequency", "frequency_missing"),
    "amount_missing": ("amount", "amount_missing"),
    "unreadable_amount": ("amount", "unreadable_amount"),
    "amount_below_minimum": ("amount", "amount_below_minimum"),
    "amount_above_maximum": ("amount", "amount_above_maximum"),
    "email_missing": ("email", "email_missing"),
    "invalid_email": ("email", "email_invalid"),
    "reminder_choice_not_offered": ("months", "reminder_choice_not_offered"),
    "amount_not_chargeable": ("amount", "amount_not_chargeable"),
    "currency_not_accepted": ("form", "currency_not_accepted"),
    "payments_unavailable": ("form", "payments_unavailable"),
    "request_in_progress": ("form", "request_in_progress"),
}


def describe_error(
    error: FormError | DomainError,
    texts: Texts,
    campaign: Campaign,
    *,
    frequency: str = "",
    typed: str = "",
    currency: str | None = None,
) -> FieldError:
    """Return a refusal in words; `frequency`, `typed` and `currency` (else the campaign's own) stand in the form.

    Raises:
        the error itself, if no field can mend it.
    """
    if error.code not in FIELD_AND_TEXT_BY_CODE:
        raise error
    money = currency or campaign.currency

    def written(amount_minor: int) -> str:
        return format_money(Money(amount_minor, money), texts.lang)

    limits = {choice.frequency.value: choice for choice in options_for_currency(campaign, money)}.get(frequency)
    values = {"typed": typed.strip(), "example": format_input_amount(Money(750, money), texts.lang)}
    if limits is not None:
        limit = limits.minimum_minor if error.code == "amount_below_minimum" else limits.maximum_minor
        values["limit"] = written(limit)
    if isinstance(error, AmountNotChargeable):
        values["amounts"] = " / ".join(map(written, error.alternatives))
    field, name = FIELD_AND_TEXT_BY_CODE[error.code]
    return FieldError(
        field=field,
        message=texts.format(name, **values),
        status=http_status_for(error) if isinstance(error, DomainError) else 422,
        is_retryable=isinstance(error, PaymentsUnavailable),
    )
