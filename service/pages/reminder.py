"""The reader's own page for their reminder. Looking at it changes nothing: mail scanners follow links."""

from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, request, url_for
from marshmallow import ValidationError
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import ReminderStatus
from schemas.reminder import SnoozeRequest
from service.db.models.reminder import Reminder
from service.domain.errors import InvalidTransition, ReminderChoiceNotOffered
from service.domain.pledges.attribution import attribution_token
from service.domain.reminders.emails import ALREADY_PLEDGED
from service.domain.reminders.reminders import preselected_amount
from service.domain.reminders.self_service import (
    can_cancel,
    can_confirm,
    cancel_reminder,
    confirm_reminder,
    get_reminder_by_token,
    snooze_reminder,
)
from service.pages.gifts import format_interval, format_long_date, format_pledge, format_reminder_button
from service.pages.language import Texts, texts_for_campaign
from service.pages.sheet import render_page
from service.pages.support_form import parse_int
from service.web import current_container, read_only, transaction

reminder = Blueprint("reminder", __name__)


@reminder.get("/r/<token>")
def show_reminder(token: str) -> Response:
    """Say when the reminder is due, or what became of it, and what the reader can do."""
    container = current_container()
    with read_only() as session:
        reminder = get_reminder_by_token(session, token, now=container.clock())
        campaign = reminder.campaign
        texts = texts_for_campaign(campaign, reminder.lang)
        pledge = preselected_amount(reminder)
        response = render_page(
            "reminder.html",
            texts,
            campaign=campaign,
            state=_state(reminder),
            is_just_confirmed="confirmed" in request.args and reminder.status == ReminderStatus.SCHEDULED,
            due_on=format_long_date(reminder.due_on, texts.lang),
            sent_on=_sent_on(reminder, texts.lang),
            often=None if reminder.every_months is None else format_interval(reminder.every_months, texts),
            give_url=container.urls.support_page_url(
                campaign,
                reminder.frequency,
                pledge.amount_minor if pledge else None,
                attribution_token(container.database.keyring, reminder),
                currency=pledge.currency if pledge else None,
            ),
            gift=_preselected_amount(reminder, texts),
            waits=[(months, format_reminder_button(months, texts)) for months in campaign.reminder_choices],
            can_wait=campaign.reminder_enabled and not can_confirm(reminder),
            can_cancel=can_cancel(reminder),
            here=request.path,
            keeping_lang=f"?lang={texts.lang}" if "lang" in request.args else "",
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@reminder.post("/r/<token>/confirm")
def confirm(token: str) -> BaseResponse:
    """Let the reminder come, because its reader wants it."""
    container = current_container()
    try:
        with transaction() as session:
            confirm_reminder(session, token, now=container.clock(), month_seconds=container.settings.month_seconds)
    except InvalidTransition:
        # It was cancelled on another page, say; this one then shows so, and how to undo that.
        return _redirect_to_reminder(token)
    return _redirect_to_reminder(token, confirmed="yes")


@reminder.post("/r/<token>/snooze")
def snooze(token: str) -> BaseResponse:
    """Move the reminder on from today, or set it again after it was sent or cancelled."""
    container = current_container()
    try:
        payload = SnoozeRequest().load(
            {"months": parse_int(request.form["months"])} if "months" in request.form else {}
        )
    except ValidationError as error:
        raise ReminderChoiceNotOffered("This campaign offers no such reminder.", field="months") from error
    with transaction() as session:
        snooze_reminder(
            session,
            token,
            months=payload.get("months"),
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )
    return _redirect_to_reminder(token)


@reminder.post("/r/<token>/cancel")
def cancel(token: str) -> BaseResponse:
    """Make sure that no mail follows."""
    with transaction() as session:
        cancel_reminder(session, token, now=current_container().clock())
    return _redirect_to_reminder(token)


def _redirect_to_reminder(token: str, *, confirmed: str | None = None) -> BaseResponse:
    page = url_for(".show_reminder", token=token, lang=request.args.get("lang"), confirmed=confirmed)
    return redirect(page, 303)


def _state(reminder: Reminder) -> str:
    """Return the word by which the page's texts are named."""
    if can_confirm(reminder):
        return ReminderStatus.UNCONFIRMED
    if reminder.status == ReminderStatus.SKIPPED and reminder.reason not in (None, ALREADY_PLEDGED):
        return "suppressed"
    return reminder.status


def _sent_on(reminder: Reminder, lang: str) -> str | None:
    if reminder.sent_at is None:
        return None
    return format_long_date(reminder.sent_at.astimezone(ZoneInfo(reminder.timezone)).date(), lang)


def _preselected_amount(reminder: Reminder, texts: Texts) -> str | None:
    pledge = preselected_amount(reminder)
    return (
        None if reminder.frequency is None or pledge is None else format_pledge(texts, reminder.frequency, pledge)
    )
