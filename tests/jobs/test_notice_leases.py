"""Notices whose worker vanished: what is on record of the mail decides, and nobody records over a successor."""

import dataclasses
import threading
import uuid

import pytest

from jobs.send_notices import return_lost_notices
from schemas.vocabulary import DeliveryOutcome, NoticeKind, NoticeStatus
from service.desk import Desk
from service.domain.errors import LeaseLost
from service.domain.mail.deliveries import Reply
from service.domain.notice_mail.claims import claim_due_notices
from service.domain.notice_mail.deliveries import begin_notice, record_notice_reply
from tests.clock import Clock
from tests.jobs.notices import find, put, run
from tests.jobs.posts import Post

GO_ON = threading.Event()


def vanish_with_a_mail_in_hand(desk: Desk, worker: uuid.UUID):
    """Claim and begin as a worker that is then heard of no more; return its claim."""
    with desk.database.transaction() as session:
        [claim] = claim_due_notices(session, worker=worker, now=desk.clock(), limit=1, lease=desk.lease)
    with desk.database.transaction() as session:
        begin_notice(session, claim, now=desk.clock())
    return claim


@pytest.mark.parametrize(("holds", "after"), [(False, "scheduled"), (True, "failed")])
def test_a_lost_lease_is_taken_up_by_what_is_on_record(desk: Desk, clock: Clock, holds: bool, after: str) -> None:
    mail = dataclasses.replace(desk.settings.mail, holds_doubtful=holds)
    desk = dataclasses.replace(desk, settings=dataclasses.replace(desk.settings, mail=mail))
    notice_id = put(desk, NoticeKind.RECEIPT)
    vanish_with_a_mail_in_hand(desk, uuid.uuid4())
    assert return_lost_notices(desk, GO_ON) == {}
    clock.advance(seconds=desk.lease.total_seconds() + 1)
    assert return_lost_notices(desk, GO_ON)["in_doubt"] == 1
    assert find(desk, notice_id).status == after
    assert (find(desk, notice_id).reason or "").startswith("in doubt")


def test_a_worker_that_comes_back_late_cannot_say_anything_over_its_successor(desk: Desk, clock: Clock) -> None:
    notice_id = put(desk, NoticeKind.RECEIPT)
    late = vanish_with_a_mail_in_hand(desk, uuid.uuid4())
    clock.advance(minutes=10)
    return_lost_notices(desk, GO_ON)
    vanish_with_a_mail_in_hand(desk, uuid.uuid4())
    with desk.database.transaction() as session, pytest.raises(LeaseLost):
        record_notice_reply(session, Reply(late, DeliveryOutcome.REJECTED, "550"), now=clock())
    with desk.database.transaction() as session, pytest.raises(LeaseLost):
        begin_notice(session, late, now=clock())
    assert find(desk, notice_id).outcome == DeliveryOutcome.LEAVING


def test_a_mail_that_turns_out_to_have_arrived_is_not_sent_again(desk: Desk, clock: Clock) -> None:
    notice_id = put(desk, NoticeKind.RECEIPT)
    late = vanish_with_a_mail_in_hand(desk, uuid.uuid4())
    clock.advance(minutes=10)
    return_lost_notices(desk, GO_ON)
    with desk.database.transaction() as session:
        record_notice_reply(session, Reply(late, DeliveryOutcome.ACCEPTED, "250 OK"), now=clock())
    post = Post()
    assert run(desk, post)["sent"] == 1
    assert post.letters == []
    assert find(desk, notice_id).status == NoticeStatus.SENT
