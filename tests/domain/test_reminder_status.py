"""Every status of a reminder × every event: the legal moves in full, and everything else refused."""

from itertools import product

import pytest

from schemas.vocabulary import ReminderStatus
from service.domain.errors import IllegalMove
from service.domain.reminders.status import MOVES, ReminderEvent, move

LEGAL = [
    ("scheduled", "ask", "scheduled"),
    ("scheduled", "claim", "sending"),
    ("scheduled", "skip", "skipped"),
    ("scheduled", "cancel", "cancelled"),
    ("sending", "ask", "scheduled"),
    ("sending", "deliver", "sent"),
    ("sending", "lose_lease", "scheduled"),
    ("sending", "retry", "scheduled"),
    ("sending", "fail", "failed"),
    ("sending", "skip", "skipped"),
    ("sending", "cancel", "cancelled"),
    ("sent", "ask", "scheduled"),
    ("sent", "cancel", "cancelled"),
    ("cancelled", "ask", "scheduled"),
    ("skipped", "ask", "scheduled"),
    ("failed", "ask", "scheduled"),
    ("failed", "send_back", "scheduled"),
    ("failed", "cancel", "cancelled"),
    ("sending", "ask_to_confirm", "unconfirmed"),
    ("unconfirmed", "ask", "scheduled"),
    ("unconfirmed", "confirm", "scheduled"),
    ("unconfirmed", "cancel", "cancelled"),
    ("scheduled", "confirm", "scheduled"),
    ("sending", "confirm", "scheduled"),
    ("failed", "confirm", "scheduled"),
    ("sent", "come_again", "scheduled"),
    ("skipped", "come_again", "scheduled"),
    ("skipped", "cancel", "cancelled"),
]
ILLEGAL = sorted(set(product(ReminderStatus, ReminderEvent)) - {(status, event) for status, event, _ in LEGAL})


@pytest.mark.parametrize(("status", "event", "after"), LEGAL)
def test_a_reminder_moves_as_the_table_says(status, event, after):
    assert move(ReminderStatus(status), ReminderEvent(event)) is ReminderStatus(after)


@pytest.mark.parametrize(("status", "event"), ILLEGAL)
def test_a_reminder_makes_no_other_move(status, event):
    with pytest.raises(IllegalMove) as refusal:
        move(status, event)
    assert refusal.value.detail.startswith(f"This reminder is {status}, so it cannot ")


def test_the_table_holds_no_move_that_is_not_tested():
    assert len(MOVES) == len(LEGAL)
    assert len(LEGAL) + len(ILLEGAL) == len(ReminderStatus) * len(ReminderEvent)


def test_a_refusal_says_in_words_why():
    with pytest.raises(IllegalMove, match=r"^This reminder is sent, so it cannot be sent back\.$"):
        move(ReminderStatus.SENT, ReminderEvent.SEND_BACK)


@pytest.mark.parametrize("status", ReminderStatus)
def test_a_reader_may_ask_again_wherever_the_reminder_stands(status):
    assert move(status, ReminderEvent.ASK) is ReminderStatus.SCHEDULED


def test_only_a_reader_who_asks_again_brings_a_cancelled_reminder_back():
    ways_out = [event for status, event in MOVES if status is ReminderStatus.CANCELLED]
    assert ways_out == [ReminderEvent.ASK]


@pytest.mark.parametrize("status", ReminderStatus)
def test_wherever_a_mail_could_still_be_sent_the_reader_can_cancel(status):
    could_be_sent = any(
        before is status
        and event is not ReminderEvent.ASK
        and after in {ReminderStatus.SCHEDULED, ReminderStatus.SENDING}
        for (before, event), after in MOVES.items()
    )
    if could_be_sent:
        assert (status, ReminderEvent.CANCEL) in MOVES
