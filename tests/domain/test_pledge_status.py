"""Every status of a pledge × every event: the legal moves in full, and everything else refused."""

from itertools import product

import pytest

from schemas.vocabulary import PledgeStatus
from service.domain.errors import IllegalMove
from service.domain.pledges.status import MOVES, PledgeEvent, move, steps

LEGAL = [
    ("pending", "settle_once", "completed"),
    ("pending", "start", "active"),
    ("pending", "fail", "pending"),
    ("pending", "expire", "expired"),
    ("expired", "settle_once", "completed"),
    ("expired", "start", "active"),
    ("active", "renew", "active"),
    ("active", "miss", "past_due"),
    ("active", "cancel", "cancelled"),
    ("past_due", "renew", "active"),
    ("past_due", "miss", "past_due"),
    ("past_due", "cancel", "cancelled"),
    ("completed", "refund", "refunded"),
    ("refunded", "keep", "completed"),
]
ILLEGAL = sorted(set(product(PledgeStatus, PledgeEvent)) - {(status, event) for status, event, _ in LEGAL})


@pytest.mark.parametrize(("status", "event", "after"), LEGAL)
def test_a_pledge_moves_as_the_table_says(status, event, after):
    assert move(PledgeStatus(status), PledgeEvent(event)) is PledgeStatus(after)


@pytest.mark.parametrize(("status", "event"), ILLEGAL)
def test_a_pledge_makes_no_other_move(status, event):
    with pytest.raises(IllegalMove) as refusal:
        move(status, event)
    assert refusal.value.detail.startswith(f"This pledge is {status.replace('_', ' ')}, so it cannot ")


def test_the_table_holds_no_move_that_is_not_tested():
    assert len(MOVES) == len(LEGAL)
    assert len(LEGAL) + len(ILLEGAL) == len(PledgeStatus) * len(PledgeEvent)


def test_a_refusal_says_in_words_why():
    with pytest.raises(IllegalMove, match=r"^This pledge is past due, so it cannot be refunded\.$"):
        move(PledgeStatus.PAST_DUE, PledgeEvent.REFUND)


def test_money_that_arrives_after_the_checkout_expired_is_not_refused():
    assert move(PledgeStatus.EXPIRED, PledgeEvent.SETTLE_ONCE) is PledgeStatus.COMPLETED
    assert move(PledgeStatus.EXPIRED, PledgeEvent.START) is PledgeStatus.ACTIVE


def test_a_pledge_that_was_cancelled_stays_so():
    assert all(before is not PledgeStatus.CANCELLED for before, _ in MOVES)


def test_a_refunded_pledge_leaves_that_only_if_its_money_did_not_reach_the_reader():
    assert [event for before, event in MOVES if before is PledgeStatus.REFUNDED] == [PledgeEvent.KEEP]


@pytest.mark.parametrize(
    ("before", "after", "way"),
    [
        ("pending", "pending", []),
        ("pending", "past_due", ["start", "miss"]),
        ("expired", "cancelled", ["start", "cancel"]),
        ("pending", "refunded", ["settle_once", "refund"]),
        ("past_due", "active", ["renew"]),
    ],
)
def test_the_way_from_one_status_to_another_takes_legal_steps_alone(before, after, way):
    assert steps(PledgeStatus(before), PledgeStatus(after)) == way


@pytest.mark.parametrize(("before", "after"), [("cancelled", "active"), ("active", "completed")])
def test_where_no_way_leads_there_is_none(before, after):
    with pytest.raises(IllegalMove, match=f"cannot become {after}"):
        steps(PledgeStatus(before), PledgeStatus(after))
