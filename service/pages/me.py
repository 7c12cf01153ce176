"""The reader's own page: a link by mail instead of a password, and then all that they give."""

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.domain.addresses import normalise_address
from service.domain.errors import InvalidAddress, SignInLinkExpired, TooManyRequests
from service.domain.sign_in.asking import request_sign_in
from service.domain.sign_in.sessions import end_session, is_link_valid, redeem_link
from service.pages.complaints import Said
from service.pages.language import Words, plain_words
from service.pages.own_support import draw_own_support
from service.pages.same_site import refuse_other_sites
from service.pages.session import forget_session, keep_signed_in, reader_in, session_secret
from service.pages.sheet import sheet
from service.web import check_rate_limit, check_sign_in_rate_limit, current_container, read_only, transaction

me = Blueprint("me", __name__)
me.before_request(refuse_other_sites)


@me.get("/me")
def show_me() -> Response:
    """Show the reader's support, or else the form that sends them a link."""
    words = plain_words()
    with read_only() as session:
        supporter_id = reader_in(session)
        if supporter_id is not None:
            return draw_own_support(session, supporter_id, words, sender=sender())
    return _sign_in(words, "sent" if "sent" in request.args else "form")


@me.post("/me")
def ask_for_link() -> BaseResponse:
    """Have a link sent to whoever reads the mail of this address, and say the same whether or not anyone does."""
    words, typed = plain_words(), request.form.get("email", "").strip()
    try:
        address = normalise_address(typed)
        check_sign_in_rate_limit(address)
        with transaction() as session:
            request_sign_in(session, address, lang=words.lang, now=current_container().clock())
    except InvalidAddress:
        wrong = words.email_invalid if typed else words.email_missing
        return _sign_in(words, "form", email=typed, said=Said(field="email", sentence=wrong, status=422))
    except TooManyRequests as error:
        said = Said(field="form", sentence=words.me_sign_in_too_often, status=429)
        response = _sign_in(words, "form", email=typed, said=said)
        response.headers["Retry-After"] = str(error.retry_after_seconds or 1)
        return response
    # The address stays out of every URL.
    return redirect(url_for(".show_account", sent="yes", lang=request.args.get("lang")), 303)


@me.get("/me/enter/<token>")
def show_door(token: str) -> Response:
    """Show the button that signs in. Looking changes nothing: mail scanners follow links."""
    with read_only() as session:
        is_open = is_link_valid(session, token, now=current_container().clock())
    return _sign_in(plain_words(), "enter" if is_open else "over", status=200 if is_open else 404)


@me.post("/me/enter/<token>")
def sign_in(token: str) -> BaseResponse:
    """Sign in, once."""
    check_rate_limit("reader")
    try:
        with transaction() as session:
            secret = redeem_link(session, token, now=current_container().clock())
    except SignInLinkExpired:
        return _sign_in(plain_words(), "over", status=404)
    response = redirect(url_for(".show_account", lang=request.args.get("lang")), 303)
    keep_signed_in(response, secret)
    return response


@me.post("/me/leave")
def sign_out() -> BaseResponse:
    """End the session, here and in the database."""
    with transaction() as session:
        end_session(session, session_secret())
    response = redirect(url_for(".show_account", lang=request.args.get("lang")), 303)
    forget_session(response)
    return response


def sender() -> str:
    """Return the name that our mails come from: the one that these readers know."""
    return parseaddr(current_container().settings.mail.sender)[0] or "Mainstay"


def _sign_in(
    words: Words, state: str, *, email: str = "", said: Said | None = None, status: int | None = None
) -> Response:
    view: Mapping[str, Any] = {"sender": sender(), "state": state, "email": email, "said": said}
    response = sheet(
        "sign_in.html", words, status=status or (said.status if said else 200), here=request.path, **view
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response
