"""Reminders as readers ask for them."""

from typing import Any

from flask import Response

from schemas.reminder import ReminderRequest, ReminderResponse, SnoozeRequest
from service.api.blueprint import ResourceBlueprint
from service.api.cors import campaign_for_this_page, open_to_listed_origins
from service.domain.reminders import asking as domain
from service.domain.reminders import links as reminder_links
from service.domain.reminders.asking import ReminderWish
from service.domain.reminders.promise import SetReminder
from service.web import count_request, current_desk, transaction

reminders = ResourceBlueprint("reminders", __name__, url_prefix="/v1/reminders", description="A mail next month.")
open_to_listed_origins(reminders)


@reminders.route("", methods=["POST"])
@reminders.arguments(ReminderRequest)
@reminders.response(201, ReminderResponse)
def set_reminder(wish: dict[str, Any]) -> SetReminder:
    """Ask to be reminded later."""
    count_request("reminder")
    desk, campaign = current_desk(), campaign_for_this_page(wish["campaign"])
    with transaction() as session:
        return domain.set_reminder(
            session,
            campaign,
            ReminderWish(**wish),
            now=desk.clock(),
            month_seconds=desk.settings.month_seconds,
            gateway=desk.gateway,
        )


@reminders.route("/<token>/confirm", methods=["POST"])
@reminders.response(200, ReminderResponse)
def confirm_reminder(token: str) -> SetReminder:
    """Say that a reminder is wanted, where the campaign has its readers confirm; repeating it changes nothing."""
    desk = current_desk()
    with transaction() as session:
        return reminder_links.confirm_reminder(
            session, token, now=desk.clock(), month_seconds=desk.settings.month_seconds
        )


@reminders.route("/<token>/cancel", methods=["POST"])
@reminders.response(204)
def cancel_reminder(token: str) -> Response:
    """Cancel a reminder; mail programs post here for one-click unsubscribing (RFC 8058)."""
    with transaction() as session:
        reminder_links.cancel_reminder(session, token, now=current_desk().clock())
    return Response(status=204)


@reminders.route("/<token>/snooze", methods=["POST"])
@reminders.arguments(SnoozeRequest, required=False)
@reminders.response(200, ReminderResponse)
def snooze_reminder(wish: dict[str, Any], token: str) -> SetReminder:
    """Move a reminder on, by so many months from today."""
    desk = current_desk()
    with transaction() as session:
        return reminder_links.snooze_reminder(
            session,
            token,
            months=wish.get("months"),
            now=desk.clock(),
            month_seconds=desk.settings.month_seconds,
        )
