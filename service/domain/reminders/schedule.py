"""When a reminder is due: the intervals that a campaign offers, and the dates that follow from them."""

import datetime
from zoneinfo import ZoneInfo

from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.calendar import DueDate, add_months, at_local_hour, next_occurrence
from service.domain.errors import DueDateOutOfRange, ReminderChoiceNotOffered, RemindersNotOffered

MAX_MONTHS_TO_PICKED_DAY = 12


def validate_interval(campaign: Campaign, months: int | None, *, repeat: bool = False) -> int:
    """Return the interval in months, by default the campaign's first. With `repeat` it is that between reminders.

    Raises:
        RemindersNotOffered: the campaign offers no reminders.
        ReminderChoiceNotOffered: the campaign does not offer this interval; the error lists those that it does.
    """
    if not campaign.reminder_enabled or not campaign.reminder_choices:
        raise RemindersNotOffered("This campaign offers no reminders.", field="campaign")
    offered = campaign.reminder_repeats if repeat else campaign.reminder_choices
    if not offered:
        raise ReminderChoiceNotOffered("This campaign offers no reminder that comes again.", field="repeat")
    chosen = offered[0] if months is None else months
    if chosen not in offered:
        choice = "every how many months" if repeat else "after how many months"
        raise ReminderChoiceNotOffered(
            f"Choose {choice}: this campaign offers {', '.join(map(str, offered))}.", field="months"
        )
    return chosen


def pickable_days(zone: str, *, now: datetime.datetime) -> tuple[datetime.date, datetime.date]:
    """Return the first and the last day that a reader in this zone may pick: tomorrow, and 12 months ahead."""
    latest = add_months(now, months=MAX_MONTHS_TO_PICKED_DAY, zone=zone, hour=0).local_date
    return now.astimezone(ZoneInfo(zone)).date() + datetime.timedelta(days=1), latest


def validate_picked_day(campaign: Campaign, due_on: datetime.date, zone: str, *, now: datetime.datetime) -> int:
    """Check that a reader may pick this day; return how many months ahead it is, rounded up.

    Raises:
        RemindersNotOffered: the campaign offers no reminders.
        ReminderChoiceNotOffered: the campaign does not let readers pick a day.
        DueDateOutOfRange: the day is not from tomorrow until 12 months ahead.
        UnknownTimezone: there is no such zone.
    """
    if not campaign.reminder_enabled:
        raise RemindersNotOffered("This campaign offers no reminders.", field="campaign")
    if not campaign.reminder_pick_date:
        raise ReminderChoiceNotOffered("This campaign offers no reminder on a day of your choice.", field="due_on")
    earliest, latest = pickable_days(zone, now=now)
    if not earliest <= due_on <= latest:
        raise DueDateOutOfRange(earliest, latest)
    months = 1
    while add_months(now, months=months, zone=zone, hour=0).local_date < due_on:
        months += 1
    return months


def first_due(
    campaign: Campaign,
    months: int,
    zone: str,
    *,
    due_on: datetime.date | None = None,
    now: datetime.datetime,
    month_seconds: int | None,
) -> DueDate:
    """Return when a reminder that is requested now is due: after some months, or on the day that was picked.

    `month_seconds` shortens a month for a demonstration; None means calendar months.
    """
    if due_on is not None:
        return at_local_hour(due_on, zone=zone, hour=campaign.send_hour)
    due = add_months(now, months=months, zone=zone, hour=campaign.send_hour)
    return due if month_seconds is None else _at(now + datetime.timedelta(seconds=months * month_seconds), zone)


def offered_interval(campaign: Campaign, every_months: int | None) -> int | None:
    """Return the interval at which a reminder goes on repeating; None if it does not repeat, or not any more.

    A repeating reminder ends with its next email if its campaign offers no reminders, or not this interval.
    """
    is_offered = campaign.reminder_enabled and every_months in campaign.reminder_repeats
    return every_months if is_offered else None


def due_on_confirmation(reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None) -> DueDate:
    """Return when a reminder that is confirmed now is due: on the date that its reader was given.

    If that date has passed, such as when the confirmation request was sent late, the interval starts again now.
    """
    zone, campaign = reminder.timezone, reminder.campaign
    original = at_local_hour(reminder.due_on, zone=zone, hour=campaign.send_hour)
    if month_seconds is None and original.instant > now:
        return original
    return first_due(campaign, reminder.months, zone, now=now, month_seconds=month_seconds)


def next_due(
    reminder: Reminder, every_months: int, *, now: datetime.datetime, month_seconds: int | None
) -> DueDate:
    """Return when a repeating reminder is due next. Missed occurrences are skipped."""
    zone, asked_at, months = reminder.timezone, reminder.asked_at, reminder.months
    if month_seconds is None:
        hour = reminder.campaign.send_hour
        return next_occurrence(
            asked_at, first_months=months, every_months=every_months, zone=zone, hour=hour, after=now
        )
    first = asked_at + datetime.timedelta(seconds=months * month_seconds)
    interval = datetime.timedelta(seconds=every_months * month_seconds)
    elapsed = max(0, (now - first) // interval + 1)
    return _at(first + elapsed * interval, zone)


def conversion_window_start(
    reminder: Reminder, campaign: Campaign, *, month_seconds: int | None = None
) -> datetime.datetime:
    """Return the instant since which a payment makes this occurrence unnecessary.

    This is the request, or the occurrence before, even if that was skipped. So one payment skips one occurrence.
    """
    asked_at, every_months = reminder.asked_at, reminder.every_months
    last = max(asked_at, reminder.sent_at or asked_at)
    if every_months is None:
        return last
    if month_seconds is not None:
        return max(last, reminder.due_at - datetime.timedelta(seconds=every_months * month_seconds))
    zone, hour, months = reminder.timezone, campaign.send_hour, reminder.months
    while (before := add_months(asked_at, months=months, zone=zone, hour=hour)).local_date < reminder.due_on:
        last, months = max(last, before.instant), months + every_months
    return last


def _at(at: datetime.datetime, zone: str) -> DueDate:
    return DueDate(local_date=at.astimezone(ZoneInfo(zone)).date(), instant=at)
