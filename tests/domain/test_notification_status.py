"""What holds for a notice wherever it stands: it is one mail, sent by one worker at a time, and at most once."""

from itertools import product

import pytest

from schemas.enums import NotificationStatus
from service.domain.email.status import TRANSITIONS, NotificationEvent, next_status
from service.domain.errors import InvalidTransition

FINAL = {NotificationStatus.SENT, NotificationStatus.SKIPPED}
OUTCOME = {
    NotificationEvent.CLAIM: NotificationStatus.SENDING,
    NotificationEvent.DELIVER: NotificationStatus.SENT,
    NotificationEvent.RELEASE: NotificationStatus.SCHEDULED,
    NotificationEvent.RETRY: NotificationStatus.SCHEDULED,
    NotificationEvent.FAIL: NotificationStatus.FAILED,
    NotificationEvent.SKIP: NotificationStatus.SKIPPED,
    NotificationEvent.REQUEUE: NotificationStatus.SCHEDULED,
}
OF_A_WORKER = {
    NotificationEvent.DELIVER,
    NotificationEvent.RELEASE,
    NotificationEvent.RETRY,
    NotificationEvent.FAIL,
    NotificationEvent.SKIP,
}


def is_legal(status: NotificationStatus, event: NotificationEvent) -> bool:
    try:
        next_status(status, event)
    except InvalidTransition:
        return False
    return True


def events_from(status: NotificationStatus) -> set[NotificationEvent]:
    return {event for event in NotificationEvent if is_legal(status, event)}


def statuses_for(event: NotificationEvent) -> set[NotificationStatus]:
    return {status for status in NotificationStatus if is_legal(status, event)}


def reachable(start: NotificationStatus) -> set[NotificationStatus]:
    found, ahead = {start}, [start]
    for here in ahead:
        new = {next_status(here, event) for event in events_from(here)} - found
        found |= new
        ahead += new
    return found


def test_every_status_is_reachable_from_scheduled() -> None:
    assert reachable(NotificationStatus.SCHEDULED) == set(NotificationStatus)


def test_no_event_leaves_a_final_status_and_no_other_status_is_final() -> None:
    assert {status for status in NotificationStatus if not events_from(status)} == FINAL


@pytest.mark.parametrize("event", NotificationEvent)
def test_an_event_leads_to_the_same_status_wherever_it_happens(event: NotificationEvent) -> None:
    assert {next_status(status, event) for status in statuses_for(event)} == {OUTCOME[event]}


def test_only_a_scheduled_notice_is_claimed_so_that_no_two_workers_send_it() -> None:
    assert statuses_for(NotificationEvent.CLAIM) == {NotificationStatus.SCHEDULED}
    assert events_from(NotificationStatus.SCHEDULED) == {NotificationEvent.CLAIM}


@pytest.mark.parametrize("event", sorted(OF_A_WORKER))
def test_only_a_claimed_notice_has_an_outcome(event: NotificationEvent) -> None:
    assert statuses_for(event) == {NotificationStatus.SENDING}


def test_only_a_failed_notice_is_sent_back() -> None:
    assert statuses_for(NotificationEvent.REQUEUE) == {NotificationStatus.FAILED}


@pytest.mark.parametrize(
    ("status", "event"), sorted(set(product(NotificationStatus, NotificationEvent)) - set(TRANSITIONS))
)
def test_a_refused_move_says_where_the_notice_stands(status: NotificationStatus, event: NotificationEvent) -> None:
    with pytest.raises(InvalidTransition, match=f"^This notice is {status}, so it cannot "):
        next_status(status, event)
