"""Every pair of where a notice stands and what happens to it: the legal moves, and a refusal for all others."""

import itertools

import pytest

from schemas.vocabulary import NoticeStatus
from service.domain.errors import IllegalMove
from service.domain.notices.status import NoticeEvent, move

LEGAL = {
    ("scheduled", "claim"): "sending",
    ("sending", "deliver"): "sent",
    ("sending", "lose_lease"): "scheduled",
    ("sending", "retry"): "scheduled",
    ("sending", "fail"): "failed",
    ("sending", "skip"): "skipped",
    ("failed", "send_back"): "scheduled",
}


@pytest.mark.parametrize(("status", "event"), list(itertools.product(NoticeStatus, NoticeEvent)))
def test_a_notice_moves_as_the_table_says_and_in_no_other_way(status: NoticeStatus, event: NoticeEvent) -> None:
    after = LEGAL.get((status.value, event.value))
    if after is None:
        with pytest.raises(IllegalMove, match=f"^This notice is {status}, so it cannot "):
            move(status, event)
    else:
        assert move(status, event) == after
