"""The public reminder resource: create, confirm, cancel and snooze."""

from typing import Any
from urllib.parse import quote

from flask import Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.reminder import ReminderRequest, ReminderResponse, SnoozeRequest
from schemas.translations import negotiate_language, texts_for
from service.api.blueprint import ResourceBlueprint
from service.api.cors import enable_cors, load_embeddable_campaign
from service.api.problems import HTTP_PROBLEMS, ProblemException
from service.domain.errors import AddressNotSupported
from service.domain.reminders import self_service
from service.domain.reminders.reminders import CreateReminder, ReminderResult, create_or_update_reminder
from service.web import check_campaign_rate_limit, check_rate_limit, current_container, transaction

reminders = ResourceBlueprint("reminders", __name__, url_prefix="/v1/reminders", description="Reminder emails.")
enable_cors(reminders)

PAGE_REDIRECT_DOC: dict[str, Any] = {
    "responses": {
        303: {"description": "Go to the reminder's page, `/r/{token}`. Nothing was changed."},
        405: {"description": "The client accepts JSON rather than HTML, and should POST."},
    }
}


@reminders.route("", methods=["POST"])
@reminders.arguments(ReminderRequest)
@reminders.response(201, ReminderResponse)
def create_reminder(payload: dict[str, Any]) -> ReminderResult:
    """Create a reminder, or change the date of the one that this address already has."""
    check_rate_limit("reminder")
    container, campaign = current_container(), load_embeddable_campaign(payload["campaign"])
    check_campaign_rate_limit("reminder", campaign)
    try:
        with transaction() as session:
            return create_or_update_reminder(
                session,
                campaign,
                CreateReminder(**payload),
                now=container.clock(),
                month_seconds=container.settings.month_seconds,
                gateway=container.gateway,
                mail_server=container.settings.mail.server_address,
            )
    except AddressNotSupported as error:
        # The widget has no text of its own for this, and shows this one.
        lang = negotiate_language(payload.get("lang"), campaign.texts, default=campaign.lang)
        text = texts_for("pages", lang, campaign.texts)["email_not_supported"]
        raise AddressNotSupported(text, field=error.field) from error


@reminders.route("/<token>/confirm", methods=["POST"])
@reminders.response(200, ReminderResponse)
def confirm_reminder(token: str) -> ReminderResult:
    """Confirm a reminder, if the campaign requires it; repeating the request changes nothing."""
    container = current_container()
    with transaction() as session:
        return self_service.confirm_reminder(
            session, token, now=container.clock(), month_seconds=container.settings.month_seconds
        )


@reminders.route("/<token>/cancel", methods=["POST"])
@reminders.response(204)
def cancel_reminder(token: str) -> Response:
    """Cancel a reminder; email clients post here for one-click unsubscribe (RFC 8058)."""
    with transaction() as session:
        self_service.cancel_reminder(session, token, now=current_container().clock())
    return Response(status=204)


@reminders.route("/<token>/snooze", methods=["POST"])
@reminders.arguments(SnoozeRequest, required=False)
@reminders.response(200, ReminderResponse)
def snooze_reminder(payload: dict[str, Any], token: str) -> ReminderResult:
    """Postpone a reminder by a number of months from today, or to a day."""
    container = current_container()
    with transaction() as session:
        return self_service.snooze_reminder(
            session,
            token,
            months=payload.get("months"),
            due_on=payload.get("due_on"),
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )


@reminders.route("/<token>/confirm", endpoint="open_confirm")
@reminders.route("/<token>/cancel", endpoint="open_cancel")
@reminders.route("/<token>/snooze", endpoint="open_snooze")
@reminders.doc(**PAGE_REDIRECT_DOC)
def open_reminder_page(token: str) -> BaseResponse:
    """Redirect a browser to the reminder's page, which has these actions as buttons. GET changes nothing.

    Some email programs open the `List-Unsubscribe` address instead of posting to it.
    """
    accepted = request.accept_mimetypes
    if accepted["application/json"] > accepted["text/html"]:
        raise ProblemException(405, *HTTP_PROBLEMS[405], {"Allow": "OPTIONS, POST"})
    response = redirect(current_container().urls.manage_reminder_url(quote(token, safe="")), 303)
    response.vary.add("Accept")
    return response
