"""Deleting a supporter's data on the account page: ask for a link by email, and confirm by it."""

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import ErasureStatus
from service.domain.erasure_requests import find_confirmed_erasure, find_erasure_request, request_own_erasure
from service.domain.errors import ErasureLinkExpired, GatewayMismatch
from service.domain.privacy.erasure import erase_by_link, kept_data
from service.domain.privacy.erasure_preview import ErasurePreview, preview_erasure
from service.pages.account_view import format_pledge_summary
from service.pages.brand import default_brand
from service.pages.csrf import reject_cross_site_requests
from service.pages.outcomes import outcome, outcome_url
from service.pages.rendering import render_page, sender_name
from service.pages.session_cookie import clear_session_cookie, current_supporter_id, session_token
from service.pages.translations import Texts, default_texts
from service.web import check_rate_limit, current_container, read_only, transaction

account_erase = Blueprint("account_erase", __name__)
account_erase.before_request(reject_cross_site_requests)


@account_erase.get("/me/erase")
def show_erasure_form() -> BaseResponse:
    """Show a signed-in supporter what is deleted and what is kept, with a button that sends the link."""
    texts = default_texts()
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        if supporter_id is None:
            return redirect(url_for("account.show_account", lang=request.args.get("lang")), 303)
        if "sent" in outcome():
            return _render("sent", texts)
        return _render("form", texts, **_preview_view(preview_erasure(session, supporter_id), texts))


@account_erase.post("/me/erase")
def request_erasure() -> BaseResponse:
    """Queue an email with the link that confirms."""
    check_rate_limit("sign_in")
    texts = default_texts()
    with transaction() as session:
        supporter_id = current_supporter_id(session)
        if supporter_id is not None:
            request_own_erasure(session, supporter_id, lang=texts.lang, now=current_container().clock())
    if supporter_id is None:
        return redirect(url_for("account.show_account", lang=request.args.get("lang")), 303)
    return redirect(outcome_url(url_for(".show_erasure_form"), {"sent": "yes"}), 303)


@account_erase.get("/me/erase/<token>")
def show_erasure(token: str) -> BaseResponse:
    """Show the button that confirms, or what came of it. A GET must not confirm: email scanners follow links."""
    container, texts = current_container(), default_texts()
    now = container.clock()
    try:
        with read_only() as session:
            erasure = find_confirmed_erasure(session, token, now=now)
            if erasure is None:
                asked = find_erasure_request(session, token, now=now)
                preview = preview_erasure(session, asked.supporter_id)
                return _render("confirm", texts, **_preview_view(preview, texts))
            is_done = erasure.status == ErasureStatus.COMPLETED
            response = _render(
                "done" if is_done else "waiting",
                texts,
                has_ended=is_done and erasure.recurring_ended > 0,
                kept=kept_data(session, container.gateway, erasure),
            )
            if session_token() and current_supporter_id(session) is None:
                clear_session_cookie(response)
            return response
    except ErasureLinkExpired:
        return _render("over", texts, status=404)


@account_erase.post("/me/erase/<token>")
def confirm_erasure(token: str) -> BaseResponse:
    """Erase the supporter. The link alone is enough, because it may be opened on another device."""
    check_rate_limit("reader")
    container = current_container()
    try:
        erase_by_link(container.database.transaction, container.gateway, token, clock=container.clock)
    except ErasureLinkExpired:
        # The page says whether it was confirmed before, perhaps by the first click of two.
        pass
    except GatewayMismatch:
        return _render("stuck", default_texts(), status=409)
    return redirect(url_for(".show_erasure", token=token, lang=request.args.get("lang")), 303)


def _preview_view(preview: ErasurePreview, texts: Texts) -> dict[str, Any]:
    return {
        "ending": [
            texts.format("erase_ends", campaign=pledge.campaign.name, gift=format_pledge_summary(pledge, texts))
            for pledge in preview.ending
        ],
        "has_payment_on_its_way": preview.has_payment_on_its_way,
        "has_refund_on_its_way": preview.has_refund_on_its_way,
        "kept": preview.kept,
    }


def _render(state: str, texts: Texts, *, status: int = 200, **view: Any) -> Response:
    """Return the page in one of its states: form, sent, confirm, waiting, done, over or stuck."""
    response = render_page(
        "erase.html",
        texts,
        status=status,
        sender_name=sender_name(),
        brand=default_brand(),
        state=state,
        current_path=request.path,
        **view,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response
