"""Asking for a reminder from the support page, and the page that confirms it."""

import datetime

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError
from service.domain.reminders.asking import create_or_update_reminder
from service.pages.complaints import Complaint, say
from service.pages.gifts import say_date
from service.pages.language import words_for
from service.pages.reminder_form import read_reminder_wish, reminder_form
from service.pages.sheet import sheet
from service.pages.support import draw_form
from service.pages.support_form import blank_form
from service.web import check_rate_limit, current_container, transaction

support_reminder = Blueprint("support_reminder", __name__)


@support_reminder.post("/support/<slug>/reminder")
def ask_for_reminder(slug: str) -> BaseResponse:
    """Set a reminder and lead to the page that says when it comes."""
    check_rate_limit("reminder")
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    words, form = words_for(campaign), reminder_form(request.form)
    try:
        payload = read_reminder_wish(
            campaign, form, words, page_url=container.urls.support_page_url(campaign, None, None)
        )
        with transaction() as session:
            response = create_or_update_reminder(
                session,
                campaign,
                payload,
                now=container.clock(),
                month_seconds=container.settings.month_seconds,
                gateway=container.gateway,
            )
    except (Complaint, DomainError) as error:
        choice = blank_form(campaign, request.form, words.lang)
        return draw_form(campaign, words, choice, form, say(error, words, campaign, currency=choice.currency))
    # The date is all that the next page is told; the address stays out of every URL.
    due_on = response.due_on.isoformat()
    return redirect(url_for(".show_reminder_created", slug=slug, due_on=due_on, lang=words.lang), 303)


@support_reminder.get("/support/<slug>/reminder-set")
def say_reminder_is_set(slug: str) -> Response:
    """Thank the reader and say on which day we will write."""
    campaign = current_container().campaign_cache.get(slug)
    words = words_for(campaign)
    return sheet("reminder_set.html", words, campaign=campaign, date=_date(request.args.get("due_on"), words.lang))


def _date(text: str | None, lang: str) -> str | None:
    try:
        return say_date(datetime.date.fromisoformat(text or ""), lang)
    except ValueError:
        return None
