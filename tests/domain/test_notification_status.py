"""Properties of the notification's transition table: one email, sent by one worker at a time, at most once."""

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
WORKER_EVENTS = {
    NotificationEvent.DELIVER,
    NotificationEvent.RELEASE,
    NotificationEvent.RETRY,
    NotificationEvent.FAIL,
    NotificationEvent.SKIP,
}


def is_allowed(status: NotificationStatus, event: NotificationEvent) -> bool:
    try:
        next_status(status, event)
    except InvalidTransition:
        return False
    return True


def events_from(status: NotificationStatus) -> set[NotificationEvent]:
    return {event for event in NotificationEvent if is_allowed(status, event)}


def statuses_for(event: NotificationEvent) -> set[NotificationStatus]:
    return {status for status in NotificationStatus if is_allowed(status, event)}


def reachable(start: NotificationStatus) -> set[NotificationStatus]:
    found, queue = {start}, [start]
    for status in queue:
        new = {next_status(status, event) for event in events_from(status)} - found
        found |= new
        queue += new
    return found


def test_every_status_is_reachable_from_scheduled() -> None:
    assert reachable(NotificationStatus.SCHEDULED) == set(NotificationStatus)


def test_exactly_the_final_statuses_have_no_events() -> None:
    assert {status for status in NotificationStatus if not events_from(status)} == FINAL


@pytest.mark.parametrize("event", NotificationEvent)
def test_event_leads_to_one_status_from_every_status(event: NotificationEvent) -> None:
    assert {next_status(status, event) for status in statuses_for(event)} == {OUTCOME[event]}


def test_only_a_scheduled_notification_is_claimed() -> None:
    assert statuses_for(NotificationEvent.CLAIM) == {NotificationStatus.SCHEDULED}
    assert events_from(NotificationStatus.SCHEDULED) == {NotificationEvent.CLAIM}


@pytest.mark.parametrize("event", sorted(WORKER_EVENTS))
def test_only_a_claimed_notification_has_an_outcome(event: NotificationEvent) -> None:
    assert statuses_for(event) == {NotificationStatus.SENDING}


def test_only_a_failed_notification_is_requeued() -> None:
    assert statuses_for(NotificationEvent.REQUEUE) == {NotificationStatus.FAILED}


@pytest.mark.parametrize(
    ("status", "event"), sorted(set(product(NotificationStatus, NotificationEvent)) - set(TRANSITIONS))
)
def test_invalid_transition_names_the_status(status: NotificationStatus, event: NotificationEvent) -> None:
    with pytest.raises(InvalidTransition, match=f"^This notice is {status}, so it cannot "):
        next_status(status, event)
