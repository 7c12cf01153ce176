"""Properties of the reminder's transition table: the reader decides, and no email is sent twice or unrequested."""

from itertools import product

import pytest

from schemas.enums import ReminderStatus
from service.domain.errors import InvalidTransition
from service.domain.reminders.status import TRANSITIONS, ReminderEvent, next_status

OUTCOME = {
    ReminderEvent.REQUEST: ReminderStatus.SCHEDULED,
    ReminderEvent.CLAIM: ReminderStatus.SENDING,
    ReminderEvent.DELIVER: ReminderStatus.SENT,
    ReminderEvent.REQUEST_CONFIRMATION: ReminderStatus.UNCONFIRMED,
    ReminderEvent.CONFIRM: ReminderStatus.SCHEDULED,
    ReminderEvent.REPEAT: ReminderStatus.SCHEDULED,
    ReminderEvent.RELEASE: ReminderStatus.SCHEDULED,
    ReminderEvent.RETRY: ReminderStatus.SCHEDULED,
    ReminderEvent.FAIL: ReminderStatus.FAILED,
    ReminderEvent.SKIP: ReminderStatus.SKIPPED,
    ReminderEvent.CANCEL: ReminderStatus.CANCELLED,
    ReminderEvent.REQUEUE: ReminderStatus.SCHEDULED,
}
WORKER_EVENTS = [
    ReminderEvent.DELIVER,
    ReminderEvent.REQUEST_CONFIRMATION,
    ReminderEvent.RELEASE,
    ReminderEvent.RETRY,
    ReminderEvent.FAIL,
]


def is_allowed(status: ReminderStatus, event: ReminderEvent) -> bool:
    try:
        next_status(status, event)
    except InvalidTransition:
        return False
    return True


def events_from(status: ReminderStatus) -> set[ReminderEvent]:
    return {event for event in ReminderEvent if is_allowed(status, event)}


def statuses_for(event: ReminderEvent) -> set[ReminderStatus]:
    return {status for status in ReminderStatus if is_allowed(status, event)}


def reachable(start: ReminderStatus) -> set[ReminderStatus]:
    found, queue = {start}, [start]
    for status in queue:
        new = {next_status(status, event) for event in events_from(status)} - found
        found |= new
        queue += new
    return found


def test_every_status_is_reachable_from_scheduled() -> None:
    assert reachable(ReminderStatus.SCHEDULED) == set(ReminderStatus)


@pytest.mark.parametrize("event", ReminderEvent)
def test_event_leads_to_one_status_from_every_status(event: ReminderEvent) -> None:
    assert {next_status(status, event) for status in statuses_for(event)} == {OUTCOME[event]}


def test_reader_may_request_again_in_every_status() -> None:
    assert statuses_for(ReminderEvent.REQUEST) == set(ReminderStatus)


def test_only_a_new_request_reactivates_a_cancelled_reminder() -> None:
    assert events_from(ReminderStatus.CANCELLED) == {ReminderEvent.REQUEST}


def test_reader_can_cancel_once_in_every_status() -> None:
    assert statuses_for(ReminderEvent.CANCEL) == set(ReminderStatus) - {ReminderStatus.CANCELLED}


def test_only_a_scheduled_reminder_is_claimed() -> None:
    assert statuses_for(ReminderEvent.CLAIM) == {ReminderStatus.SCHEDULED}


@pytest.mark.parametrize("event", WORKER_EVENTS)
def test_only_a_claimed_reminder_has_an_outcome(event: ReminderEvent) -> None:
    assert statuses_for(event) == {ReminderStatus.SENDING}


def test_reminder_is_skipped_only_before_it_is_sent() -> None:
    assert statuses_for(ReminderEvent.SKIP) == {ReminderStatus.SCHEDULED, ReminderStatus.SENDING}


def test_only_a_failed_reminder_is_requeued() -> None:
    assert statuses_for(ReminderEvent.REQUEUE) == {ReminderStatus.FAILED}


def test_only_a_sent_or_skipped_reminder_repeats() -> None:
    assert statuses_for(ReminderEvent.REPEAT) == {ReminderStatus.SENT, ReminderStatus.SKIPPED}


def test_reader_may_confirm_until_sent_skipped_or_cancelled() -> None:
    final = {ReminderStatus.SENT, ReminderStatus.SKIPPED, ReminderStatus.CANCELLED}
    assert statuses_for(ReminderEvent.CONFIRM) == set(ReminderStatus) - final


def test_only_its_reader_moves_an_unconfirmed_reminder() -> None:
    reader_events = {ReminderEvent.REQUEST, ReminderEvent.CONFIRM, ReminderEvent.CANCEL}
    assert events_from(ReminderStatus.UNCONFIRMED) == reader_events


@pytest.mark.parametrize(
    ("status", "event"), sorted(set(product(ReminderStatus, ReminderEvent)) - set(TRANSITIONS))
)
def test_invalid_transition_names_the_status(status: ReminderStatus, event: ReminderEvent) -> None:
    with pytest.raises(InvalidTransition) as error:
        next_status(status, event)
    assert error.value.detail.startswith(f"This reminder is {status}, so it cannot ")


def test_invalid_transition_names_the_event_in_words() -> None:
    with pytest.raises(InvalidTransition, match=r"^This reminder is sent, so it cannot be sent back\.$"):
        next_status(ReminderStatus.SENT, ReminderEvent.REQUEUE)
