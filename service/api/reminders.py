"""The public reminder resource: create, confirm, cancel and snooze."""

from typing import Any

from flask import Response

from schemas.reminder import ReminderRequest, ReminderResponse, SnoozeRequest
from service.api.blueprint import ResourceBlueprint
from service.api.cors import enable_cors, load_embeddable_campaign
from service.domain.reminders import self_service
from service.domain.reminders.reminders import CreateReminder, ReminderResult, create_or_update_reminder
from service.web import check_rate_limit, current_container, transaction

reminders = ResourceBlueprint("reminders", __name__, url_prefix="/v1/reminders", description="Reminders by email.")
enable_cors(reminders)


@reminders.route("", methods=["POST"])
@reminders.arguments(ReminderRequest)
@reminders.response(201, ReminderResponse)
def create_reminder(payload: dict[str, Any]) -> ReminderResult:
    """Create a reminder, or change the date of the one that this address already has."""
    check_rate_limit("reminder")
    container, campaign = current_container(), load_embeddable_campaign(payload["campaign"])
    with transaction() as session:
        return create_or_update_reminder(
            session,
            campaign,
            CreateReminder(**payload),
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
            gateway=container.gateway,
        )


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
    """Postpone a reminder by a number of months from today."""
    container = current_container()
    with transaction() as session:
        return self_service.snooze_reminder(
            session,
            token,
            months=payload.get("months"),
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )
