"""Properties of the notification's transition table: one email, sent by one worker at a time, at most once."""

import pytest

from schemas.enums import EmailStatus
from service.domain.email.status import NotificationEvent, next_status
from tests.domain.state_machines import NOTIFICATION

FINAL = {EmailStatus.SENT, EmailStatus.SKIPPED}
OUTCOME = {
    NotificationEvent.CLAIM: EmailStatus.SENDING,
    NotificationEvent.DELIVER: EmailStatus.SENT,
    NotificationEvent.RELEASE: EmailStatus.SCHEDULED,
    NotificationEvent.RETRY: EmailStatus.SCHEDULED,
    NotificationEvent.FAIL: EmailStatus.FAILED,
    NotificationEvent.SKIP: EmailStatus.SKIPPED,
    NotificationEvent.REQUEUE: EmailStatus.SCHEDULED,
}
WORKER_EVENTS = {
    NotificationEvent.DELIVER,
    NotificationEvent.RELEASE,
    NotificationEvent.RETRY,
    NotificationEvent.FAIL,
    NotificationEvent.SKIP,
}


def test_every_status_is_reachable_from_scheduled() -> None:
    assert NOTIFICATION.reachable(EmailStatus.SCHEDULED) == set(EmailStatus)


def test_exactly_the_final_statuses_have_no_events() -> None:
    assert {status for status in EmailStatus if not NOTIFICATION.events_from(status)} == FINAL


@pytest.mark.parametrize("event", NotificationEvent)
def test_event_leads_to_one_status_from_every_status(event: NotificationEvent) -> None:
    assert {next_status(status, event) for status in NOTIFICATION.statuses_for(event)} == {OUTCOME[event]}


def test_only_a_scheduled_notification_is_claimed() -> None:
    assert NOTIFICATION.statuses_for(NotificationEvent.CLAIM) == {EmailStatus.SCHEDULED}
    assert NOTIFICATION.events_from(EmailStatus.SCHEDULED) == {NotificationEvent.CLAIM}


@pytest.mark.parametrize("event", sorted(WORKER_EVENTS))
def test_only_a_claimed_notification_has_an_outcome(event: NotificationEvent) -> None:
    assert NOTIFICATION.statuses_for(event) == {EmailStatus.SENDING}


def test_only_a_failed_notification_is_requeued() -> None:
    assert NOTIFICATION.statuses_for(NotificationEvent.REQUEUE) == {EmailStatus.FAILED}
