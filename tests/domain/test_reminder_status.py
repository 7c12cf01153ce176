"""Properties of the reminder's transition table: the reader decides, and no email is sent twice or unrequested."""

import pytest

from schemas.enums import ReminderStatus
from service.domain.errors import InvalidTransition
from service.domain.reminders.status import ReminderEvent, next_status
from tests.domain.state_machines import REMINDER

OUTCOME = {
    ReminderEvent.REQUEST: ReminderStatus.SCHEDULED,
    ReminderEvent.ENQUEUE: ReminderStatus.SENDING,
    ReminderEvent.DELIVER: ReminderStatus.SENT,
    ReminderEvent.REQUEST_CONFIRMATION: ReminderStatus.UNCONFIRMED,
    ReminderEvent.CONFIRM: ReminderStatus.SCHEDULED,
    ReminderEvent.REPEAT: ReminderStatus.SCHEDULED,
    ReminderEvent.FAIL: ReminderStatus.FAILED,
    ReminderEvent.SKIP: ReminderStatus.SKIPPED,
    ReminderEvent.CANCEL: ReminderStatus.CANCELLED,
    ReminderEvent.REQUEUE: ReminderStatus.SENDING,
}
WORKER_EVENTS = [
    ReminderEvent.DELIVER,
    ReminderEvent.REQUEST_CONFIRMATION,
    ReminderEvent.FAIL,
]


def test_every_status_is_reachable_from_scheduled() -> None:
    assert REMINDER.reachable(ReminderStatus.SCHEDULED) == set(ReminderStatus)


@pytest.mark.parametrize("event", ReminderEvent)
def test_event_leads_to_one_status_from_every_status(event: ReminderEvent) -> None:
    assert {next_status(status, event) for status in REMINDER.statuses_for(event)} == {OUTCOME[event]}


def test_reader_may_request_again_in_every_status() -> None:
    assert REMINDER.statuses_for(ReminderEvent.REQUEST) == set(ReminderStatus)


def test_only_a_new_request_reactivates_a_cancelled_reminder() -> None:
    assert REMINDER.events_from(ReminderStatus.CANCELLED) == {ReminderEvent.REQUEST}


def test_reader_can_cancel_once_in_every_status() -> None:
    assert REMINDER.statuses_for(ReminderEvent.CANCEL) == set(ReminderStatus) - {ReminderStatus.CANCELLED}


def test_only_a_scheduled_reminder_is_enqueued() -> None:
    assert REMINDER.statuses_for(ReminderEvent.ENQUEUE) == {ReminderStatus.SCHEDULED}


@pytest.mark.parametrize("event", WORKER_EVENTS)
def test_only_a_reminder_whose_email_is_in_the_outbox_has_an_outcome(event: ReminderEvent) -> None:
    assert REMINDER.statuses_for(event) == {ReminderStatus.SENDING}


def test_reminder_is_skipped_only_before_it_is_sent() -> None:
    assert REMINDER.statuses_for(ReminderEvent.SKIP) == {ReminderStatus.SCHEDULED, ReminderStatus.SENDING}


def test_only_a_failed_reminder_is_requeued() -> None:
    assert REMINDER.statuses_for(ReminderEvent.REQUEUE) == {ReminderStatus.FAILED}


def test_only_a_sent_or_skipped_reminder_repeats() -> None:
    assert REMINDER.statuses_for(ReminderEvent.REPEAT) == {ReminderStatus.SENT, ReminderStatus.SKIPPED}


def test_reader_may_confirm_until_sent_skipped_or_cancelled() -> None:
    final = {ReminderStatus.SENT, ReminderStatus.SKIPPED, ReminderStatus.CANCELLED}
    assert REMINDER.statuses_for(ReminderEvent.CONFIRM) == set(ReminderStatus) - final


def test_only_its_reader_moves_an_unconfirmed_reminder() -> None:
    reader_events = {ReminderEvent.REQUEST, ReminderEvent.CONFIRM, ReminderEvent.CANCEL}
    assert REMINDER.events_from(ReminderStatus.UNCONFIRMED) == reader_events


def test_invalid_transition_names_the_event_in_words() -> None:
    with pytest.raises(InvalidTransition, match=r"^This reminder is sent, so it cannot be sent back\.$"):
        next_status(ReminderStatus.SENT, ReminderEvent.REQUEUE)
