"""The reader's own page for their reminder. Looking at it changes nothing: mail scanners follow links."""

from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, request, url_for
from marshmallow import ValidationError
from werkzeug.wrappers import Response as BaseResponse

from schemas.reminder import SnoozeRequest
from schemas.vocabulary import ReminderStatus
from service.db.reminder import Reminder
from service.domain.errors import InvalidTransition, ReminderChoiceNotOffered
from service.domain.mail.letters import ALREADY_PLEDGED
from service.domain.pledges.conversions import attribution_token
from service.domain.reminders.links import (
    can_cancel,
    can_confirm,
    cancel_reminder,
    confirm_reminder,
    get_reminder_by_token,
    snooze_reminder,
)
from service.domain.reminders.promise import preselected_amount
from service.pages.gifts import say_date, say_every, say_gift, say_when
from service.pages.language import Words, words_for
from service.pages.sheet import sheet
from service.pages.support_form import whole
from service.web import current_container, read_only, transaction

reminder = Blueprint("reminder", __name__)


@reminder.get("/r/<token>")
def show_reminder(token: str) -> Response:
    """Say when the reminder is due, or what became of it, and what the reader can do."""
    container = current_container()
    with read_only() as session:
        row = get_reminder_by_token(session, token, now=container.clock())
        campaign = row.campaign
        words = words_for(campaign, row.lang)
        gift = preselected_amount(row)
        response = sheet(
            "reminder.html",
            words,
            campaign=campaign,
            state=_state(row),
            is_just_confirmed="confirmed" in request.args and row.status == ReminderStatus.SCHEDULED,
            due_on=say_date(row.due_on, words.lang),
            sent_on=_sent_on(row, words.lang),
            often=None if row.every_months is None else say_every(row.every_months, words),
            give_url=container.urls.support_page_url(
                campaign,
                row.frequency,
                gift.amount_minor if gift else None,
                attribution_token(container.database.keyring, row),
                currency=gift.currency if gift else None,
            ),
            gift=_gift(row, words),
            waits=[(months, say_when(months, words)) for months in campaign.reminder_choices],
            can_wait=campaign.reminder_enabled and not can_confirm(row),
            can_cancel=can_cancel(row),
            here=request.path,
            keeping_lang=f"?lang={words.lang}" if "lang" in request.args else "",
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
        return _back(token)
    return _back(token, confirmed="yes")


@reminder.post("/r/<token>/snooze")
def snooze(token: str) -> BaseResponse:
    """Move the reminder on from today, or set it again after it was sent or cancelled."""
    container = current_container()
    try:
        payload = SnoozeRequest().load(
            {"months": whole(request.form["months"])} if "months" in request.form else {}
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
    return _back(token)


@reminder.post("/r/<token>/cancel")
def cancel(token: str) -> BaseResponse:
    """Make sure that no mail follows."""
    with transaction() as session:
        cancel_reminder(session, token, now=current_container().clock())
    return _back(token)


def _back(token: str, *, confirmed: str | None = None) -> BaseResponse:
    page = url_for(".show_reminder", token=token, lang=request.args.get("lang"), confirmed=confirmed)
    return redirect(page, 303)


def _state(row: Reminder) -> str:
    """Return the word by which the page's texts are named."""
    if can_confirm(row):
        return ReminderStatus.UNCONFIRMED
    if row.status == ReminderStatus.SKIPPED and row.reason not in (None, ALREADY_PLEDGED):
        return "suppressed"
    return row.status


def _sent_on(row: Reminder, lang: str) -> str | None:
    if row.sent_at is None:
        return None
    return say_date(row.sent_at.astimezone(ZoneInfo(row.timezone)).date(), lang)


def _gift(row: Reminder, words: Words) -> str | None:
    gift = preselected_amount(row)
    return None if row.frequency is None or gift is None else say_gift(words, row.frequency, gift)
