"""The supporter's account page `/me`: sign in by an emailed link, then see every pledge and reminder."""

import datetime
import uuid

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.campaigns.definitions import get_campaign, offers_reminders
from service.domain.dates import format_long_date
from service.domain.email.addresses import normalise_address
from service.domain.email.capabilities import require_supported_address
from service.domain.errors import SignInLinkExpired
from service.domain.pledges.customers import group_by_customer
from service.domain.pledges.queries import payments_for, pledges_for_supporter
from service.domain.pledges.subscriptions import is_recurring_active
from service.domain.reminders.reminders import create_supporter_reminder, upcoming_reminders
from service.domain.reminders.schedule import offered_interval, validate_interval
from service.domain.reminders.self_service import reminder_token
from service.domain.sign_in import end_session, redeem_link, request_sign_in, supporter_for_link
from service.pages.account_view import build_pledge_card
from service.pages.brand import default_brand
from service.pages.csrf import reject_cross_site_requests
from service.pages.email_form import EMAIL_FORM_ERRORS, render_email_form, render_email_form_error
from service.pages.formatting import format_day, format_interval, format_reminder_button
from service.pages.gateway_redirect import gateway_origins
from service.pages.outcomes import outcome, outcome_url
from service.pages.rendering import render_page, sender_name
from service.pages.session_cookie import (
    clear_session_cookie,
    current_supporter_id,
    session_token,
    set_session_cookie,
)
from service.pages.support_form import parse_int
from service.pages.translations import Texts, default_texts
from service.web import check_rate_limit, current_container, read_only, transaction

# Its states are `form`, `sent`, `enter` and `over`.
TEMPLATE = "sign_in.html"

account = Blueprint("account", __name__)
account.before_request(reject_cross_site_requests)


@account.get("/me")
def show_account() -> Response:
    """Show the signed-in supporter's account, or the sign-in form."""
    texts = default_texts()
    with read_only() as session:
        supporter_id = current_supporter_id(session)
        if supporter_id is not None:
            return render_account(session, supporter_id, texts)
    return render_email_form(TEMPLATE, texts, "sent" if "sent" in outcome() else "form")


@account.post("/me")
def request_sign_in_link() -> BaseResponse:
    """Queue an email with a sign-in link. The response is the same for known and unknown addresses."""
    texts, typed = default_texts(), request.form.get("email", "").strip()
    try:
        address = normalise_address(typed)
        check_rate_limit("sign_in")
        container = current_container()
        with transaction() as session:
            require_supported_address(session, address, server=container.settings.mail.server_address)
            request_sign_in(session, address, lang=texts.lang, now=container.clock())
    except EMAIL_FORM_ERRORS as error:
        return render_email_form_error(TEMPLATE, texts, typed, error)
    # No URL contains the address.
    return redirect(outcome_url(url_for(".show_account"), {"sent": "yes"}), 303)


@account.get("/me/enter/<token>")
def show_sign_in_link(token: str) -> BaseResponse:
    """Show the sign-in button. A GET must not redeem the link, because email scanners follow links.

    A supporter who is signed in already goes on to the account, unless the link is another's.
    """
    with read_only() as session:
        supporter_id = supporter_for_link(session, token, now=current_container().clock())
        signed_in_id = current_supporter_id(session)
    if signed_in_id is not None and supporter_id in (None, signed_in_id):
        return redirect(url_for(".show_account", lang=request.args.get("lang")), 303)
    is_valid = supporter_id is not None
    return render_email_form(
        TEMPLATE, default_texts(), "enter" if is_valid else "over", status=200 if is_valid else 404
    )


@account.post("/me/enter/<token>")
def sign_in(token: str) -> BaseResponse:
    """Redeem a single-use sign-in link and start a session."""
    check_rate_limit("reader")
    try:
        with transaction() as session:
            secret = redeem_link(session, token, now=current_container().clock())
    except SignInLinkExpired:
        return render_email_form(TEMPLATE, default_texts(), "over", status=404)
    response = redirect(url_for(".show_account", lang=request.args.get("lang")), 303)
    set_session_cookie(response, secret)
    return response


@account.post("/me/leave")
def sign_out() -> BaseResponse:
    """End the session in the database and in the browser."""
    with transaction() as session:
        end_session(session, session_token())
    response = redirect(url_for(".show_account", lang=request.args.get("lang")), 303)
    clear_session_cookie(response)
    return response


@account.post("/me/reminders/<slug>")
def set_reminder(slug: str) -> BaseResponse:
    """Create a reminder for the signed-in supporter."""
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
    return redirect(outcome_url(url_for(".show_account"), {"done": done}), 303)


def render_account(session: Session, supporter_id: uuid.UUID, texts: Texts) -> Response:
    """Return the account page of a supporter."""
    pledges = pledges_for_supporter(session, supporter_id)
    payments = payments_for(session, [pledge.id for pledge in pledges])
    reminders = upcoming_reminders(session, supporter_id)
    campaigns_with_reminder = {reminder.campaign_id for reminder in reminders}
    # Who gives every month or year is not asked to give.
    supported = {pledge.campaign_id for pledge in pledges if is_recurring_active(pledge)}
    campaigns = {pledge.campaign_id: pledge.campaign for pledge in pledges if pledge.campaign_id not in supported}
    response = render_page(
        "account.html",
        texts,
        form_targets=gateway_origins(),
        sender_name=sender_name(),
        brand=default_brand(),
        success_message=success_message(texts),
        has_several_running=sum(map(len, group_by_customer(pledges))) > 1,
        pledges=[
            build_pledge_card(
                pledge,
                payments.get(pledge.id, []),
                texts,
                base_url=f"/me/pledges/{pledge.id}",
                receipts_url="/me/receipts",
                supporter_pledges=pledges,
                is_in_list=True,
            )
            for pledge in pledges
        ],
        reminders=[_reminder_row(reminder, texts) for reminder in reminders],
        reminder_offers=[
            _offer(campaign, texts)
            for campaign in campaigns.values()
            if offers_reminders(campaign)
            and campaign.reminder_choices
            and campaign.id not in campaigns_with_reminder
        ],
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def success_message(texts: Texts) -> str | None:
    """Return what the form that led here has done; None if none did."""
    said = outcome()
    done, due_on = said.get("done"), said.get("due_on")
    if done == "reminded" and due_on is not None:
        date = format_long_date(datetime.date.fromisoformat(due_on), texts.lang)
        return texts.format("me_done_reminded", date=date)
    return None if done is None else texts[f"me_done_{done}"]


def _reminder_row(reminder: Reminder, texts: Texts) -> tuple[str, str]:
    """Return the sentence that describes a reminder, and the path of its page."""
    every_months = offered_interval(reminder.campaign, reminder.every_months)
    name = "me_reminder_on" if every_months is None else "me_reminder_every"
    if reminder.awaits_confirmation or reminder.status == ReminderStatus.UNCONFIRMED:
        name = "me_reminder_unconfirmed"
    interval = "" if every_months is None else format_interval(every_months, texts)
    campaign = reminder.campaign
    date = format_day(reminder.due_on, campaign, texts)
    sentence = texts.format(name, date=date, campaign=campaign.name, often=interval)
    return sentence, f"/r/{reminder_token(current_container().database.keyring, reminder)}"


def _offer(campaign: Campaign, texts: Texts) -> tuple[str, str, list[tuple[int, str]]]:
    """Return a campaign's slug, the question, and the intervals in months with their button labels."""
    interval_options = [(months, format_reminder_button(months, texts)) for months in campaign.reminder_choices]
    return campaign.slug, texts.format("me_reminder_offer", campaign=campaign.name), interval_options
