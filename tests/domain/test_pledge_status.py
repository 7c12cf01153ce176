"""Every status of a pledge × every event: the legal moves in full, and everything else refused."""

from itertools import product

import pytest

from schemas.vocabulary import PledgeStatus
from service.domain.errors import IllegalMove
from service.domain.pledges.status import MOVES, PledgeEvent, move

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


@pytest.mark.parametrize("status", [PledgeStatus.CANCELLED, PledgeStatus.REFUNDED])
def test_a_pledge_that_ended_stays_ended(status):
    assert all(before is not status for before, _ in MOVES)
