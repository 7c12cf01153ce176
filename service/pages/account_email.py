"""Changing the email address on the account page: ask for a link at the new address, and confirm by it."""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.domain.email.addresses import normalise_address
from service.domain.email.capabilities import require_supported_address
from service.domain.email_changes import find_open_change, request_email_change
from service.domain.errors import (
    AddressNotSupported,
    EmailChangeLinkExpired,
    EmailInUse,
    ErasureUnderWay,
    InvalidAddress,
    SupporterNotFound,
    TooManyRequests,
)
from service.domain.privacy.address_changes import confirm_email_change
from service.pages.csrf import reject_cross_site_requests
from service.pages.form_errors import FieldError
from service.pages.rendering import render_page, sender_name
from service.pages.session_cookie import current_supporter_id, session_token
from service.pages.translations import Texts, default_texts
from service.web import (
    check_email_change_rate_limit,
    check_rate_limit,
    current_container,
    read_only,
    transaction,
)

account_email = Blueprint("account_email", __name__)
account_email.before_request(reject_cross_site_requests)


@account_email.get("/me/email")
def show_email_form() -> BaseResponse:
    """Show the form for a new address to a signed-in supporter, or the result of a confirmation to anybody."""
    if "done" in request.args:
        return _render(default_texts(), "done")
    with read_only() as session:
        supporter_id = current_supporter_id(session)
    if supporter_id is None:
        return redirect(url_for("account.show_account", lang=request.args.get("lang")), 303)
    return _render(default_texts(), "sent" if "sent" in request.args else "form")


@account_email.post("/me/email")
def request_change() -> BaseResponse:
    """Queue an email with a link to the new address. The response is the same for known and unknown addresses."""
    texts, typed, container = default_texts(), request.form.get("email", "").strip(), current_container()
    with read_only() as session:
        supporter_id = current_supporter_id(session)
    if supporter_id is None:
        return redirect(url_for("account.show_account", lang=request.args.get("lang")), 303)
    try:
        address = normalise_address(typed)
        check_email_change_rate_limit(supporter_id, address)
        with transaction() as session:
            require_supported_address(session, address, server=container.settings.mail.server_address)
            request_email_change(session, supporter_id, address, lang=texts.lang, now=container.clock())
    except AddressNotSupported:
        return _render(texts, "form", email=typed, field_error=_field_error(texts.email_not_supported))
    except InvalidAddress:
        message = texts.email_invalid if typed else texts.email_missing
        return _render(texts, "form", email=typed, field_error=_field_error(message))
    except TooManyRequests as error:
        field_error = FieldError(field="form", message=texts.me_sign_in_too_often, status=429)
        response = _render(texts, "form", email=typed, field_error=field_error)
        response.headers["Retry-After"] = str(error.retry_after_seconds or 1)
        return response
    # No URL contains the address.
    return redirect(url_for(".show_email_form", sent="yes", lang=request.args.get("lang")), 303)


@account_email.get("/me/email/<token>")
def show_confirmation(token: str) -> Response:
    """Show the button that confirms the new address. A GET must not, because email scanners follow links."""
    try:
        with read_only() as session:
            find_open_change(session, token, now=current_container().clock())
    except EmailChangeLinkExpired:
        return _render(default_texts(), "over", status=404)
    return _render(default_texts(), "confirm")


@account_email.post("/me/email/<token>")
def confirm_change(token: str) -> BaseResponse:
    """Change the address. The link alone is enough, because it may be opened on another device."""
    check_rate_limit("reader")
    container, texts = current_container(), default_texts()
    try:
        confirm_email_change(
            container.database.transaction,
            container.gateway,
            token,
            session_secret=session_token(),
            lang=texts.lang,
            clock=container.clock,
        )
    except (EmailChangeLinkExpired, EmailInUse, ErasureUnderWay, SupporterNotFound):
        return _render(texts, "over", status=404)
    return redirect(url_for(".show_email_form", done="yes", lang=request.args.get("lang")), 303)


def _field_error(message: str) -> FieldError:
    return FieldError(field="email", message=message, status=422)


def _render(
    texts: Texts,
    state: str,
    *,
    email: str = "",
    field_error: FieldError | None = None,
    status: int | None = None,
) -> Response:
    """Return the page in `state`: `form`, `sent`, `confirm`, `over` or `done`."""
    response = render_page(
        "change_email.html",
        texts,
        status=status or (field_error.status if field_error else 200),
        sender_name=sender_name(),
        state=state,
        email=email,
        field_error=field_error,
        current_path=request.path,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response
