"""When a reminder comes: what a campaign offers, and the date that its reader is promised."""

import datetime
from zoneinfo import ZoneInfo

from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.calendar import DueDate, add_months, at_local_hour, next_occurrence
from service.domain.errors import ReminderChoiceNotOffered, RemindersNotOffered


def validate_interval(campaign: Campaign, wished: int | None, *, repeat: bool = False) -> int:
    """Return after how many months the reader wants the reminder, or with `repeat` every how many.

    Raises:
        RemindersNotOffered: the campaign offers none at all.
        ReminderChoiceNotOffered: it does not offer this one; the error says which it does.
    """
    if not campaign.reminder_enabled or not campaign.reminder_choices:
        raise RemindersNotOffered("This campaign offers no reminders.", field="campaign")
    offered = campaign.reminder_repeats if repeat else campaign.reminder_choices
    if not offered:
        raise ReminderChoiceNotOffered("This campaign offers no reminder that comes again.", field="repeat")
    months = offered[0] if wished is None else wished
    if months not in offered:
        choice = "every how many months" if repeat else "after how many months"
        raise ReminderChoiceNotOffered(
            f"Choose {choice}: this campaign offers {', '.join(map(str, offered))}.", field="months"
        )
    return months


def first_due(
    campaign: Campaign, months: int, zone: str, *, now: datetime.datetime, month_seconds: int | None
) -> DueDate:
    """Return what a reader is promised who asks now.

    `month_seconds` shortens a month for a demonstration; None means the calendar's.
    """
    due = add_months(now, months=months, zone=zone, hour=campaign.send_hour)
    return due if month_seconds is None else _at(now + datetime.timedelta(seconds=months * month_seconds), zone)


def due_on_confirmation(reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None) -> DueDate:
    """Return when a reminder comes whose reader confirms it now: on the day that they were promised.

    A promise that time has overtaken, as when our question came late, is made anew from today.
    """
    zone, campaign = reminder.timezone, reminder.campaign
    promised = at_local_hour(reminder.due_on, zone=zone, hour=campaign.send_hour)
    if month_seconds is None and promised.instant > now:
        return promised
    return first_due(campaign, reminder.months, zone, now=now, month_seconds=month_seconds)


def next_due(
    reminder: Reminder, every_months: int, *, now: datetime.datetime, month_seconds: int | None
) -> DueDate:
    """Return when a reminder that repeats comes next; the times that were missed are not made up for."""
    zone, asked_at, months = reminder.timezone, reminder.asked_at, reminder.months
    if month_seconds is None:
        hour = reminder.campaign.send_hour
        return next_occurrence(
            asked_at, first_months=months, every_months=every_months, zone=zone, hour=hour, after=now
        )
    first = asked_at + datetime.timedelta(seconds=months * month_seconds)
    interval = datetime.timedelta(seconds=every_months * month_seconds)
    gone = max(0, (now - first) // interval + 1)
    return _at(first + gone * interval, zone)


def conversion_window_start(reminder: Reminder, *, month_seconds: int | None = None) -> datetime.datetime:
    """Return since when a gift makes this occurrence needless: since it was asked for, or came the time before.

    It came the time before also when it was skipped then, so that one gift does not keep all later ones away.
    """
    asked_at, every_months = reminder.asked_at, reminder.every_months
    last = max(asked_at, reminder.sent_at or asked_at)
    if every_months is None:
        return last
    if month_seconds is not None:
        return max(last, reminder.due_at - datetime.timedelta(seconds=every_months * month_seconds))
    zone, hour, months = reminder.timezone, reminder.campaign.send_hour, reminder.months
    while (before := add_months(asked_at, months=months, zone=zone, hour=hour)).local_date < reminder.due_on:
        last, months = max(last, before.instant), months + every_months
    return last


def _at(at: datetime.datetime, zone: str) -> DueDate:
    return DueDate(local_date=at.astimezone(ZoneInfo(zone)).date(), instant=at)
