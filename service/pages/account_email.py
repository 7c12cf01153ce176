"""Changing the email address on the account page: ask for a link at the new address, and confirm by it."""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.domain.email.addresses import normalise_address
from service.domain.email.capabilities import require_supported_address
from service.domain.email_changes import (
    find_open_change,
    find_undoable_change,
    is_confirmed,
    is_undone,
    request_email_change,
)
from service.domain.errors import (
    EmailChangeLinkExpired,
    EmailInUse,
    ErasureUnderWay,
    SupporterNotFound,
)
from service.domain.privacy.address_changes import confirm_email_change, undo_email_change
from service.domain.supporters import get_address
from service.pages.csrf import reject_cross_site_requests
from service.pages.email_form import EMAIL_FORM_ERRORS, render_email_form, render_email_form_error
from service.pages.form_errors import FieldError
from service.pages.outcomes import outcome, outcome_url
from service.pages.session_cookie import current_supporter_id, session_token
from service.pages.translations import default_texts
from service.web import (
    check_email_change_rate_limit,
    check_rate_limit,
    current_container,
    read_only,
    transaction,
)

# Its states are `form`, `sent`, `confirm`, `over`, `done`, `undo`, `undo_over` and `undone`.
TEMPLATE = "change_email.html"

account_email = Blueprint("account_email", __name__)
account_email.before_request(reject_cross_site_requests)


@account_email.get("/me/email")
def show_email_form() -> BaseResponse:
    """Show the form for a new address to a signed-in supporter."""
    with read_only() as session:
        supporter_id = current_supporter_id(session)
    if supporter_id is None:
        return redirect(url_for("account.show_account", lang=request.args.get("lang")), 303)
    return render_email_form(TEMPLATE, default_texts(), "sent" if "sent" in outcome() else "form")


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
        check_email_change_rate_limit(supporter_id)
        with transaction() as session:
            if get_address(session, supporter_id) == address:
                same = FieldError(field="email", message=texts.me_email_same, status=422)
                return render_email_form(TEMPLATE, texts, "form", email=typed, field_error=same)
            require_supported_address(session, address, server=container.settings.mail.server_address)
            request_email_change(session, supporter_id, address, lang=texts.lang, now=container.clock())
    except EMAIL_FORM_ERRORS as error:
        return render_email_form_error(TEMPLATE, texts, typed, error)
    # No URL contains the address.
    return redirect(outcome_url(url_for(".show_email_form"), {"sent": "yes"}), 303)


@account_email.get("/me/email/<token>")
def show_confirmation(token: str) -> Response:
    """Show the button that confirms the new address, or that it was. A GET must not: scanners follow links."""
    now = current_container().clock()
    try:
        with read_only() as session:
            is_done = is_confirmed(session, token, now=now)
            if not is_done:
                find_open_change(session, token, now=now)
    except EmailChangeLinkExpired:
        return render_email_form(TEMPLATE, default_texts(), "over", status=404)
    return render_email_form(TEMPLATE, default_texts(), "done" if is_done else "confirm")


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
    except EmailChangeLinkExpired:
        # The page says whether it was confirmed before, perhaps by the first click of two.
        return show_confirmation(token)
    except (EmailInUse, ErasureUnderWay, SupporterNotFound):
        return render_email_form(TEMPLATE, texts, "over", status=404)
    return redirect(url_for(".show_confirmation", token=token, lang=request.args.get("lang")), 303)


@account_email.get("/me/email/undo/<token>")
def show_undo(token: str) -> Response:
    """Show the button that gives the old address back to its owner, or that they have it."""
    now = current_container().clock()
    try:
        with read_only() as session:
            is_done = is_undone(session, token, now=now)
            if not is_done:
                find_undoable_change(session, token, now=now)
    except EmailChangeLinkExpired:
        return render_email_form(TEMPLATE, default_texts(), "undo_over", status=404)
    return render_email_form(TEMPLATE, default_texts(), "undone" if is_done else "undo")


@account_email.post("/me/email/undo/<token>")
def undo_change(token: str) -> BaseResponse:
    """Change the address back. The link alone is enough, because its reader may be signed in nowhere."""
    check_rate_limit("reader")
    container, texts = current_container(), default_texts()
    try:
        undo_email_change(
            container.database.transaction, container.gateway, token, lang=texts.lang, clock=container.clock
        )
    except EmailChangeLinkExpired:
        # The page says whether it was undone before.
        return show_undo(token)
    except (EmailInUse, ErasureUnderWay, SupporterNotFound):
        return render_email_form(TEMPLATE, texts, "undo_over", status=404)
    return redirect(url_for(".show_undo", token=token, lang=request.args.get("lang")), 303)
