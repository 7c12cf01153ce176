"""All that one reader gives, on one page: pledges, payments and reminders."""

import datetime
import uuid

from flask import Blueprint, Response, redirect, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from schemas.vocabulary import ReminderStatus
from service.db.campaign import Campaign
from service.db.reminder import Reminder
from service.domain.campaigns.terms import get_campaign
from service.domain.pledges.own_gifts import payments_for, pledges_for_supporter
from service.domain.reminders.due import validate_interval
from service.domain.reminders.links import reminder_token
from service.domain.reminders.own_page import create_supporter_reminder, upcoming_reminders
from service.pages.gifts import say_date, say_every, say_when
from service.pages.language import Words, plain_words
from service.pages.pledge_view import pledge_card
from service.pages.same_site import refuse_other_sites
from service.pages.session import reader_in
from service.pages.sheet import sheet
from service.pages.support_form import whole
from service.web import check_rate_limit, current_container, transaction

own_support = Blueprint("own_support", __name__)
own_support.before_request(refuse_other_sites)


def draw_own_support(session: Session, supporter_id: uuid.UUID, words: Words, *, sender: str) -> Response:
    """Return the page of the supporter who is signed in."""
    pledges = pledges_for_supporter(session, supporter_id)
    paid = payments_for(session, [pledge.id for pledge in pledges])
    reminders = upcoming_reminders(session, supporter_id)
    waiting = {reminder.campaign_id for reminder in reminders}
    campaigns = {pledge.campaign_id: pledge.campaign for pledge in pledges}
    response = sheet(
        "me.html",
        words,
        leads_to=current_container().gateway.hosted_origins,
        sender=sender,
        done=done_said(words),
        cards=[
            pledge_card(
                pledge, paid.get(pledge.id, []), words, base=f"/me/pledges/{pledge.id}", receipts="/me/receipts"
            )
            for pledge in pledges
        ],
        reminders=[_said(reminder, words) for reminder in reminders],
        offers=[
            _offer(campaign, words)
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
    container, words = current_container(), plain_words()
    with transaction() as session:
        supporter_id = reader_in(session)
        if supporter_id is not None:
            campaign = get_campaign(session, slug)
            create_supporter_reminder(
                session,
                campaign,
                supporter_id,
                months=validate_interval(campaign, whole(request.form.get("months", ""))),
                lang=words.lang,
                now=container.clock(),
                month_seconds=container.settings.month_seconds,
            )
    done = None if supporter_id is None else "reminder"
    return redirect(url_for("me.show_account", done=done, lang=request.args.get("lang")), 303)


def done_said(words: Words) -> str | None:
    """Return what was just done, in words; what the address says is only ever one of a few words of ours."""
    done = request.args.get("done")
    if done == "reminded":
        return words.fill("me_done_reminded", date=_date(words.lang)) if _date(words.lang) else words.me_done_ended
    return words[f"me_done_{done}"] if done in ("amount", "ended", "reminder") else None


def _date(lang: str) -> str | None:
    try:
        return say_date(datetime.date.fromisoformat(request.args.get("due_on", "")), lang)
    except ValueError:
        return None


def _said(reminder: Reminder, words: Words) -> tuple[str, str]:
    """Return a reminder in words, and where it is moved or cancelled."""
    name = "me_reminder_on" if reminder.every_months is None else "me_reminder_every"
    if reminder.awaits_confirmation or reminder.status == ReminderStatus.UNCONFIRMED:
        name = "me_reminder_unconfirmed"
    often = "" if reminder.every_months is None else say_every(reminder.every_months, words)
    sentence = words.fill(
        name, date=say_date(reminder.due_on, words.lang), campaign=reminder.campaign.name, often=often
    )
    return sentence, f"/r/{reminder_token(current_container().database.keyring, reminder)}"


def _offer(campaign: Campaign, words: Words) -> tuple[str, str, list[tuple[int, str]]]:
    waits = [(months, say_when(months, words)) for months in campaign.reminder_choices]
    return campaign.slug, words.fill("me_reminder_offer", campaign=campaign.name), waits
