"""Reminders as readers ask for them."""

from typing import Any

from flask import Response

from schemas.reminder import ReminderRequest, ReminderResponse, SnoozeRequest
from service.api.blueprint import ResourceBlueprint
from service.api.cors import enable_cors, load_embeddable_campaign
from service.domain.reminders import reminders as domain
from service.domain.reminders import self_service as reminder_links
from service.domain.reminders.reminders import CreateReminder, ReminderResult
from service.web import check_rate_limit, current_container, transaction

reminders = ResourceBlueprint("reminders", __name__, url_prefix="/v1/reminders", description="A mail next month.")
enable_cors(reminders)


@reminders.route("", methods=["POST"])
@reminders.arguments(ReminderRequest)
@reminders.response(201, ReminderResponse)
def create_reminder(payload: dict[str, Any]) -> ReminderResult:
    """Ask to be reminded later."""
    check_rate_limit("reminder")
    container, campaign = current_container(), load_embeddable_campaign(payload["campaign"])
    with transaction() as session:
        return domain.create_or_update_reminder(
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
    """Say that a reminder is wanted, where the campaign has its readers confirm; repeating it changes nothing."""
    container = current_container()
    with transaction() as session:
        return reminder_links.confirm_reminder(
            session, token, now=container.clock(), month_seconds=container.settings.month_seconds
        )


@reminders.route("/<token>/cancel", methods=["POST"])
@reminders.response(204)
def cancel_reminder(token: str) -> Response:
    """Cancel a reminder; mail programs post here for one-click unsubscribing (RFC 8058)."""
    with transaction() as session:
        reminder_links.cancel_reminder(session, token, now=current_container().clock())
    return Response(status=204)


@reminders.route("/<token>/snooze", methods=["POST"])
@reminders.arguments(SnoozeRequest, required=False)
@reminders.response(200, ReminderResponse)
def snooze_reminder(payload: dict[str, Any], token: str) -> ReminderResult:
    """Move a reminder on, by so many months from today."""
    container = current_container()
    with transaction() as session:
        return reminder_links.snooze_reminder(
            session,
            token,
            months=payload.get("months"),
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )
