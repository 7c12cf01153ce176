"""The reader's own page: a link by mail instead of a password, and then all that they give."""

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.domain.email.addresses import normalise_address
from service.domain.errors import InvalidAddress, SignInLinkExpired, TooManyRequests
from service.domain.sign_in import end_session, is_link_valid, redeem_link, request_sign_in
from service.pages.complaints import FieldError
from service.pages.language import Texts, default_texts
from service.pages.own_support import render_account
from service.pages.same_site import reject_cross_site_requests
from service.pages.session import clear_session_cookie, current_supporter_id, session_token, set_session_cookie
from service.pages.sheet import render_page
from service.web import check_rate_limit, check_sign_in_rate_limit, current_container, read_only, transaction

account = Blueprint("me", __name__)
account.before_request(reject_cross_site_requests)


@account.get("/me")
def show_account() -> Response:
    """Show the reader's support, or else the form that sends them a link."""
    texts = default_texts()
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        if supporter_id is not None:
            return render_account(session, supporter_id, texts, sender=sender_name())
    return _render_sign_in(texts, "sent" if "sent" in request.args else "form")


@account.post("/me")
def request_sign_in_link() -> BaseResponse:
    """Have a link sent to whoever reads the mail of this address, and say the same whether or not anyone does."""
    texts, typed = default_texts(), request.form.get("email", "").strip()
    try:
        address = normalise_address(typed)
        check_sign_in_rate_limit(address)
        with transaction() as session:
            request_sign_in(session, address, lang=texts.lang, now=current_container().clock())
    except InvalidAddress:
        wrong = texts.email_invalid if typed else texts.email_missing
        return _render_sign_in(
            texts, "form", email=typed, said=FieldError(field="email", message=wrong, status=422)
        )
    except TooManyRequests as error:
        said = FieldError(field="form", message=texts.me_sign_in_too_often, status=429)
        response = _render_sign_in(texts, "form", email=typed, said=said)
        response.headers["Retry-After"] = str(error.retry_after_seconds or 1)
        return response
    # The address stays out of every URL.
    return redirect(url_for(".show_account", sent="yes", lang=request.args.get("lang")), 303)


@account.get("/me/enter/<token>")
def show_sign_in_link(token: str) -> Response:
    """Show the button that signs in. Looking changes nothing: mail scanners follow links."""
    with read_only() as session:
        is_open = is_link_valid(session, token, now=current_container().clock())
    return _render_sign_in(default_texts(), "enter" if is_open else "over", status=200 if is_open else 404)


@account.post("/me/enter/<token>")
def sign_in(token: str) -> BaseResponse:
    """Sign in, once."""
    check_rate_limit("reader")
    try:
        with transaction() as session:
            secret = redeem_link(session, token, now=current_container().clock())
    except SignInLinkExpired:
        return _render_sign_in(default_texts(), "over", status=404)
    response = redirect(url_for(".show_account", lang=request.args.get("lang")), 303)
    set_session_cookie(response, secret)
    return response


@account.post("/me/leave")
def sign_out() -> BaseResponse:
    """End the session, here and in the database."""
    with transaction() as session:
        end_session(session, session_token())
    response = redirect(url_for(".show_account", lang=request.args.get("lang")), 303)
    clear_session_cookie(response)
    return response


def sender_name() -> str:
    """Return the name that our mails come from: the one that these readers know."""
    return parseaddr(current_container().settings.mail.sender)[0] or "Mainstay"


def _render_sign_in(
    texts: Texts, state: str, *, email: str = "", said: FieldError | None = None, status: int | None = None
) -> Response:
    view: Mapping[str, Any] = {"sender": sender_name(), "state": state, "email": email, "said": said}
    response = render_page(
        "sign_in.html", texts, status=status or (said.status if said else 200), here=request.path, **view
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response
