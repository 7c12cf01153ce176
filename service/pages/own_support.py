"""All that one reader gives, on one page: pledges, payments and reminders."""

import datetime
import uuid

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.campaigns.definitions import get_campaign
from service.domain.pledges.queries import payments_for, pledges_for_supporter
from service.domain.reminders.reminders import create_supporter_reminder, upcoming_reminders
from service.domain.reminders.schedule import validate_interval
from service.domain.reminders.self_service import reminder_token
from service.pages.gifts import format_interval, format_long_date, format_reminder_button
from service.pages.language import Texts, default_texts
from service.pages.pledge_view import build_pledge_card
from service.pages.same_site import reject_cross_site_requests
from service.pages.session import current_supporter_id
from service.pages.sheet import render_page
from service.pages.support_form import parse_int
from service.web import check_rate_limit, current_container, transaction

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
