"""What holds for a reminder wherever it stands: the reader decides, and no mail goes out twice or unasked."""

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
OF_A_WORKER = [
    ReminderEvent.DELIVER,
    ReminderEvent.REQUEST_CONFIRMATION,
    ReminderEvent.RELEASE,
    ReminderEvent.RETRY,
    ReminderEvent.FAIL,
]


def is_legal(status: ReminderStatus, event: ReminderEvent) -> bool:
    try:
        next_status(status, event)
    except InvalidTransition:
        return False
    return True


def events_from(status: ReminderStatus) -> set[ReminderEvent]:
    return {event for event in ReminderEvent if is_legal(status, event)}


def statuses_for(event: ReminderEvent) -> set[ReminderStatus]:
    return {status for status in ReminderStatus if is_legal(status, event)}


def reachable(start: ReminderStatus) -> set[ReminderStatus]:
    found, ahead = {start}, [start]
    for here in ahead:
        new = {next_status(here, event) for event in events_from(here)} - found
        found |= new
        ahead += new
    return found


def test_every_status_is_reachable_from_scheduled() -> None:
    assert reachable(ReminderStatus.SCHEDULED) == set(ReminderStatus)


@pytest.mark.parametrize("event", ReminderEvent)
def test_an_event_leads_to_the_same_status_wherever_it_happens(event: ReminderEvent) -> None:
    assert {next_status(status, event) for status in statuses_for(event)} == {OUTCOME[event]}


def test_a_reader_may_ask_again_wherever_the_reminder_stands() -> None:
    assert statuses_for(ReminderEvent.REQUEST) == set(ReminderStatus)


def test_only_a_reader_who_asks_again_brings_a_cancelled_reminder_back() -> None:
    assert events_from(ReminderStatus.CANCELLED) == {ReminderEvent.REQUEST}


def test_a_reader_can_cancel_wherever_the_reminder_stands_but_only_once() -> None:
    assert statuses_for(ReminderEvent.CANCEL) == set(ReminderStatus) - {ReminderStatus.CANCELLED}


def test_only_a_scheduled_reminder_is_claimed_so_that_no_two_workers_send_it() -> None:
    assert statuses_for(ReminderEvent.CLAIM) == {ReminderStatus.SCHEDULED}


@pytest.mark.parametrize("event", OF_A_WORKER)
def test_only_a_claimed_reminder_has_an_outcome(event: ReminderEvent) -> None:
    assert statuses_for(event) == {ReminderStatus.SENDING}


def test_a_mail_is_skipped_only_before_it_is_sent() -> None:
    assert statuses_for(ReminderEvent.SKIP) == {ReminderStatus.SCHEDULED, ReminderStatus.SENDING}


def test_only_a_failed_reminder_is_sent_back() -> None:
    assert statuses_for(ReminderEvent.REQUEUE) == {ReminderStatus.FAILED}


def test_a_reminder_comes_again_only_after_its_time_is_over() -> None:
    assert statuses_for(ReminderEvent.REPEAT) == {ReminderStatus.SENT, ReminderStatus.SKIPPED}


def test_a_reader_may_confirm_as_long_as_no_answer_was_recorded() -> None:
    settled = {ReminderStatus.SENT, ReminderStatus.SKIPPED, ReminderStatus.CANCELLED}
    assert statuses_for(ReminderEvent.CONFIRM) == set(ReminderStatus) - settled


def test_an_unconfirmed_reminder_is_mailed_only_after_its_reader_says_so() -> None:
    of_the_reader = {ReminderEvent.REQUEST, ReminderEvent.CONFIRM, ReminderEvent.CANCEL}
    assert events_from(ReminderStatus.UNCONFIRMED) == of_the_reader


@pytest.mark.parametrize(
    ("status", "event"), sorted(set(product(ReminderStatus, ReminderEvent)) - set(TRANSITIONS))
)
def test_a_refused_move_says_where_the_reminder_stands(status: ReminderStatus, event: ReminderEvent) -> None:
    with pytest.raises(InvalidTransition) as refusal:
        next_status(status, event)
    assert refusal.value.detail.startswith(f"This reminder is {status}, so it cannot ")


def test_a_refusal_says_in_words_why() -> None:
    with pytest.raises(InvalidTransition, match=r"^This reminder is sent, so it cannot be sent back\.$"):
        next_status(ReminderStatus.SENT, ReminderEvent.REQUEUE)
