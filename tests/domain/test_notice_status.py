"""What holds for a notice wherever it stands: it is one mail, sent by one worker at a time, and at most once."""

from itertools import product

import pytest

from schemas.vocabulary import NotificationStatus
from service.domain.errors import IllegalMove
from service.domain.notices.status import MOVES, NoticeEvent, move

FINAL = {NotificationStatus.SENT, NotificationStatus.SKIPPED}
OUTCOME = {
    NoticeEvent.CLAIM: NotificationStatus.SENDING,
    NoticeEvent.DELIVER: NotificationStatus.SENT,
    NoticeEvent.LOSE_LEASE: NotificationStatus.SCHEDULED,
    NoticeEvent.RETRY: NotificationStatus.SCHEDULED,
    NoticeEvent.FAIL: NotificationStatus.FAILED,
    NoticeEvent.SKIP: NotificationStatus.SKIPPED,
    NoticeEvent.SEND_BACK: NotificationStatus.SCHEDULED,
}
OF_A_WORKER = {
    NoticeEvent.DELIVER,
    NoticeEvent.LOSE_LEASE,
    NoticeEvent.RETRY,
    NoticeEvent.FAIL,
    NoticeEvent.SKIP,
}


def is_legal(status: NotificationStatus, event: NoticeEvent) -> bool:
    try:
        move(status, event)
    except IllegalMove:
        return False
    return True


def events_from(status: NotificationStatus) -> set[NoticeEvent]:
    return {event for event in NoticeEvent if is_legal(status, event)}


def statuses_for(event: NoticeEvent) -> set[NotificationStatus]:
    return {status for status in NotificationStatus if is_legal(status, event)}


def reachable(start: NotificationStatus) -> set[NotificationStatus]:
    found, ahead = {start}, [start]
    for here in ahead:
        new = {move(here, event) for event in events_from(here)} - found
        found |= new
        ahead += new
    return found


def test_every_status_is_reachable_from_scheduled() -> None:
    assert reachable(NotificationStatus.SCHEDULED) == set(NotificationStatus)


def test_no_event_leaves_a_final_status_and_no_other_status_is_final() -> None:
    assert {status for status in NotificationStatus if not events_from(status)} == FINAL


@pytest.mark.parametrize("event", NoticeEvent)
def test_an_event_leads_to_the_same_status_wherever_it_happens(event: NoticeEvent) -> None:
    assert {move(status, event) for status in statuses_for(event)} == {OUTCOME[event]}


def test_only_a_scheduled_notice_is_claimed_so_that_no_two_workers_send_it() -> None:
    assert statuses_for(NoticeEvent.CLAIM) == {NotificationStatus.SCHEDULED}
    assert events_from(NotificationStatus.SCHEDULED) == {NoticeEvent.CLAIM}


@pytest.mark.parametrize("event", sorted(OF_A_WORKER))
def test_only_a_claimed_notice_has_an_outcome(event: NoticeEvent) -> None:
    assert statuses_for(event) == {NotificationStatus.SENDING}


def test_only_a_failed_notice_is_sent_back() -> None:
    assert statuses_for(NoticeEvent.SEND_BACK) == {NotificationStatus.FAILED}


@pytest.mark.parametrize(("status", "event"), sorted(set(product(NotificationStatus, NoticeEvent)) - set(MOVES)))
def test_a_refused_move_says_where_the_notice_stands(status: NotificationStatus, event: NoticeEvent) -> None:
    with pytest.raises(IllegalMove, match=f"^This notice is {status}, so it cannot "):
        move(status, event)
