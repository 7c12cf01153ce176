"""Account pages that ask for an email address: their states, and what is wrong with a typed address."""

from typing import Final

from flask import Response, request

from service.domain.errors import AddressNotSupported, DomainError, InvalidAddress, TooManyRequests
from service.pages.brand import default_brand
from service.pages.form_errors import FieldError
from service.pages.rendering import render_page, sender_name
from service.pages.translations import Texts

EMAIL_FORM_ERRORS: Final = (AddressNotSupported, InvalidAddress, TooManyRequests)


def render_email_form(
    template: str,
    texts: Texts,
    state: str,
    *,
    email: str = "",
    field_error: FieldError | None = None,
    status: int | None = None,
) -> Response:
    """Return the page in one of the states of its template; `email` is the address typed so far."""
    response = render_page(
        template,
        texts,
        status=status or (field_error.status if field_error else 200),
        sender_name=sender_name(),
        brand=default_brand(),
        state=state,
        email=email,
        field_error=field_error,
        current_path=request.path,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def render_email_form_error(template: str, texts: Texts, typed: str, error: DomainError) -> Response:
    """Return the form again with what is wrong with the typed address; `error` is one of `EMAIL_FORM_ERRORS`."""
    if isinstance(error, TooManyRequests):
        field_error = FieldError(field="form", message=texts.me_sign_in_too_often, status=429)
    elif isinstance(error, AddressNotSupported):
        field_error = FieldError(field="email", message=texts.email_not_supported, status=422)
    else:
        message = texts.email_invalid if typed else texts.email_missing
        field_error = FieldError(field="email", message=message, status=422)
    response = render_email_form(template, texts, "form", email=typed, field_error=field_error)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds or 1)
    return response
