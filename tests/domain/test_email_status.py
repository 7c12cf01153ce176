"""Properties of the email's transition table: sent by one worker at a time, once, and not after a cancel."""

import pytest

from schemas.enums import EmailStatus
from service.db.base import new_id
from service.db.models.email import OutgoingEmail
from service.domain.email.status import EmailEvent, next_status, transition_email
from service.domain.errors import InvalidTransition
from tests.db.sample_rows import NOW
from tests.domain.state_machines import EMAIL

FINAL = {EmailStatus.SENT, EmailStatus.SKIPPED, EmailStatus.CANCELLED}
OUTCOME = {
    EmailEvent.CLAIM: EmailStatus.SENDING,
    EmailEvent.DELIVER: EmailStatus.SENT,
    EmailEvent.RELEASE: EmailStatus.SCHEDULED,
    EmailEvent.RETRY: EmailStatus.SCHEDULED,
    EmailEvent.FAIL: EmailStatus.FAILED,
    EmailEvent.SKIP: EmailStatus.SKIPPED,
    EmailEvent.CANCEL: EmailStatus.CANCELLED,
    EmailEvent.REQUEUE: EmailStatus.SCHEDULED,
}
WORKER_EVENTS = {
    EmailEvent.DELIVER,
    EmailEvent.RELEASE,
    EmailEvent.RETRY,
    EmailEvent.FAIL,
}


def test_every_status_is_reachable_from_scheduled() -> None:
    assert EMAIL.reachable(EmailStatus.SCHEDULED) == set(EmailStatus)


def test_exactly_the_final_statuses_have_no_events() -> None:
    assert {status for status in EmailStatus if not EMAIL.events_from(status)} == FINAL


@pytest.mark.parametrize("event", EmailEvent)
def test_event_leads_to_one_status_from_every_status(event: EmailEvent) -> None:
    assert {next_status(status, event) for status in EMAIL.statuses_for(event)} == {OUTCOME[event]}


def test_only_a_scheduled_email_is_claimed() -> None:
    assert EMAIL.statuses_for(EmailEvent.CLAIM) == {EmailStatus.SCHEDULED}
    assert EMAIL.events_from(EmailStatus.SCHEDULED) == {EmailEvent.CLAIM, EmailEvent.CANCEL, EmailEvent.SKIP}


@pytest.mark.parametrize("event", sorted(WORKER_EVENTS))
def test_only_a_claimed_email_has_an_outcome(event: EmailEvent) -> None:
    assert EMAIL.statuses_for(event) == {EmailStatus.SENDING}


def test_every_email_that_may_yet_be_sent_can_be_cancelled() -> None:
    assert EMAIL.statuses_for(EmailEvent.CANCEL) == set(EmailStatus) - FINAL


def test_email_is_skipped_only_before_it_is_sent() -> None:
    assert EMAIL.statuses_for(EmailEvent.SKIP) == {EmailStatus.SCHEDULED, EmailStatus.SENDING}


def test_only_a_failed_email_is_requeued() -> None:
    assert EMAIL.statuses_for(EmailEvent.REQUEUE) == {EmailStatus.FAILED}


@pytest.mark.parametrize("event", sorted(WORKER_EVENTS | {EmailEvent.CANCEL, EmailEvent.SKIP}))
def test_email_that_is_not_being_sent_any_more_has_no_lease(event: EmailEvent) -> None:
    email = OutgoingEmail(status=EmailStatus.SENDING, leased_by=new_id(), leased_until=NOW, reason="before")
    transition_email(email, event, reason="now")
    assert (email.status, email.reason) == (OUTCOME[event], "now")
    assert (email.leased_by, email.leased_until) == (None, None)


def test_invalid_transition_names_the_event_in_words() -> None:
    with pytest.raises(InvalidTransition, match=r"^This email is cancelled, so it cannot be retried\.$"):
        next_status(EmailStatus.CANCELLED, EmailEvent.REQUEUE)
