"""The reader's own page: a link by mail instead of a password, and then all that they give."""

import datetime
import uuid
from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.addresses import normalise_address
from service.domain.errors import InvalidAddress, SignInLinkExpired, TooManyRequests
from service.domain.pledges.queries import payments_for, pledges_for_supporter
from service.domain.reminders.reminders import create_supporter_reminder, upcoming_reminders
from service.domain.reminders.schedule import validate_interval
from service.domain.reminders.self_service import reminder_token
from service.domain.sign_in import end_session, is_link_valid, redeem_link, request_sign_in
from service.pages.account_view import build_pledge_card
from service.pages.csrf import reject_cross_site_requests
from service.pages.form_errors import FieldError
from service.pages.formatting import format_interval, format_long_date, format_reminder_button
from service.pages.rendering import render_page
from service.pages.session_cookie import (
    clear_session_cookie,
    current_supporter_id,
    session_token,
    set_session_cookie,
)
from service.pages.support_form import parse_int
from service.pages.translations import Texts, default_texts
from service.web import check_rate_limit, check_sign_in_rate_limit, current_container, read_only, transaction

own_support = Blueprint("own_support", __name__)
own_support.before_request(reject_cross_site_requests)


def render_account(session: Session, supporter_id: uuid.UUID, texts: Texts, *, sender: str) -> Response:
    """Return the page of the supporter who is signed in."""
    pledges = pledges_for_supporter(session, supporter_id)
    paid = payments_for(session, [pledge.id for pledge in pledges])
    reminders = upcoming_reminders(session, supporter_id)
    waiting = {reminder.campaign_id for reminder in reminders}
    campaigns = {pledge.campaign_id: pledge.campaign for pledge in pledges}
    response = render_page(
        "me.html",
        texts,
        form_targets=current_container().gateway.hosted_origins,
        sender=sender,
        done=success_message(texts),
        cards=[
            build_pledge_card(
                pledge, paid.get(pledge.id, []), texts, base=f"/me/pledges/{pledge.id}", receipts="/me/receipts"
            )
            for pledge in pledges
        ],
        reminders=[_reminder_row(reminder, texts) for reminder in reminders],
        offers=[
            _offer(campaign, texts)
            for campaign in campaigns.values()
            if campaign.reminder_enabled and campaign.reminder_choices and campaign.id not in waiting
        ],
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@own_support.post("/me/reminders/<slug>")
def set_reminder(slug: str) -> BaseResponse:
    """Set a reminder for whoever is signed in."""
    check_rate_limit("reader")
    container, texts = current_container(), default_texts()
    with transaction() as session:
        supporter_id = current_supporter_id(session)
        if supporter_id is not None:
            campaign = get_campaign(session, slug)
            create_supporter_reminder(
                session,
                campaign,
                supporter_id,
                months=validate_interval(campaign, parse_int(request.form.get("months", ""))),
                lang=texts.lang,
                now=container.clock(),
                month_seconds=container.settings.month_seconds,
            )
    done = None if supporter_id is None else "reminder"
    return redirect(url_for("me.show_account", done=done, lang=request.args.get("lang")), 303)


def success_message(texts: Texts) -> str | None:
    """Return what was just done, in words; what the address says is only ever one of a few words of ours."""
    done = request.args.get("done")
    if done == "reminded":
        return (
            texts.format("me_done_reminded", date=_date(texts.lang)) if _date(texts.lang) else texts.me_done_ended
        )
    return texts[f"me_done_{done}"] if done in ("amount", "ended", "reminder") else None


def _date(lang: str) -> str | None:
    try:
        return format_long_date(datetime.date.fromisoformat(request.args.get("due_on", "")), lang)
    except ValueError:
        return None


def _reminder_row(reminder: Reminder, texts: Texts) -> tuple[str, str]:
    """Return a reminder in words, and where it is moved or cancelled."""
    name = "me_reminder_on" if reminder.every_months is None else "me_reminder_every"
    if reminder.awaits_confirmation or reminder.status == ReminderStatus.UNCONFIRMED:
        name = "me_reminder_unconfirmed"
    often = "" if reminder.every_months is None else format_interval(reminder.every_months, texts)
    sentence = texts.format(
        name, date=format_long_date(reminder.due_on, texts.lang), campaign=reminder.campaign.name, often=often
    )
    return sentence, f"/r/{reminder_token(current_container().database.keyring, reminder)}"


def _offer(campaign: Campaign, texts: Texts) -> tuple[str, str, list[tuple[int, str]]]:
    interval_options = [(months, format_reminder_button(months, texts)) for months in campaign.reminder_choices]
    return campaign.slug, texts.format("me_reminder_offer", campaign=campaign.name), interval_options


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
