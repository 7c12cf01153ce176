"""Properties of the notification's transition table: one email, sent by one worker at a time, at most once."""

import pytest

from schemas.enums import NotificationStatus
from service.domain.email.status import NotificationEvent, next_status
from tests.domain.state_machines import NOTIFICATION

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


def test_every_status_is_reachable_from_scheduled() -> None:
    assert NOTIFICATION.reachable(NotificationStatus.SCHEDULED) == set(NotificationStatus)


def test_exactly_the_final_statuses_have_no_events() -> None:
    assert {status for status in NotificationStatus if not NOTIFICATION.events_from(status)} == FINAL


@pytest.mark.parametrize("event", NotificationEvent)
def test_event_leads_to_one_status_from_every_status(event: NotificationEvent) -> None:
    assert {next_status(status, event) for status in NOTIFICATION.statuses_for(event)} == {OUTCOME[event]}


def test_only_a_scheduled_notification_is_claimed() -> None:
    assert NOTIFICATION.statuses_for(NotificationEvent.CLAIM) == {NotificationStatus.SCHEDULED}
    assert NOTIFICATION.events_from(NotificationStatus.SCHEDULED) == {NotificationEvent.CLAIM}


@pytest.mark.parametrize("event", sorted(WORKER_EVENTS))
def test_only_a_claimed_notification_has_an_outcome(event: NotificationEvent) -> None:
    assert NOTIFICATION.statuses_for(event) == {NotificationStatus.SENDING}


def test_only_a_failed_notification_is_requeued() -> None:
    assert NOTIFICATION.statuses_for(NotificationEvent.REQUEUE) == {NotificationStatus.FAILED}
