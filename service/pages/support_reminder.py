"""Asking for a reminder from the support page, and the page that confirms it."""

import datetime

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError
from service.domain.reminders.reminders import create_or_update_reminder
from service.pages.complaints import FormError, describe_error
from service.pages.gifts import format_long_date
from service.pages.language import texts_for_campaign
from service.pages.reminder_form import parse_reminder_form, reminder_form_from_request
from service.pages.sheet import render_page
from service.pages.support import render_support_page
from service.pages.support_form import initial_form
from service.web import check_rate_limit, current_container, transaction

support_reminder = Blueprint("support_reminder", __name__)


@support_reminder.post("/support/<slug>/reminder")
def create_reminder(slug: str) -> BaseResponse:
    """Set a reminder and lead to the page that says when it comes."""
    check_rate_limit("reminder")
    container = current_container()
    campaign = container.campaign_cache.get(slug)
    texts, form = texts_for_campaign(campaign), reminder_form_from_request(request.form)
    try:
        payload = parse_reminder_form(
            campaign, form, texts, page_url=container.urls.support_page_url(campaign, None, None)
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
    except (FormError, DomainError) as error:
        choice = initial_form(campaign, request.form, texts.lang)
        return render_support_page(
            campaign, texts, choice, form, describe_error(error, texts, campaign, currency=choice.currency)
        )
    # The date is all that the next page is told; the address stays out of every URL.
    due_on = response.due_on.isoformat()
    return redirect(url_for(".show_reminder_created", slug=slug, due_on=due_on, lang=texts.lang), 303)


@support_reminder.get("/support/<slug>/reminder-set")
def show_reminder_created(slug: str) -> Response:
    """Thank the reader and say on which day we will write."""
    campaign = current_container().campaign_cache.get(slug)
    texts = texts_for_campaign(campaign)
    return render_page(
        "reminder_set.html", texts, campaign=campaign, date=_date(request.args.get("due_on"), texts.lang)
    )


def _date(text: str | None, lang: str) -> str | None:
    try:
        return format_long_date(datetime.date.fromisoformat(text or ""), lang)
    except ValueError:
        return None
