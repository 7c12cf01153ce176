"""What holds for a pledge wherever it stands: properties of its table of moves, each for a reason of its own."""

from itertools import product

import pytest

from schemas.enums import PledgeStatus
from service.domain.errors import InvalidTransition
from service.domain.pledges.status import TRANSITIONS, PledgeEvent, next_status, transition_path

UNPAID = {PledgeStatus.PENDING, PledgeStatus.EXPIRED}
ONE_TIME = {PledgeStatus.COMPLETED, PledgeStatus.REFUNDED}
TAKES_MONEY = {PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE}
RECURRING = TAKES_MONEY | {PledgeStatus.CANCELLED}
FINAL = {PledgeStatus.CANCELLED}
# What an event says about money decides where the pledge stands afterwards; only a declined try says nothing.
OUTCOME = {
    PledgeEvent.COMPLETE: PledgeStatus.COMPLETED,
    PledgeEvent.START: PledgeStatus.ACTIVE,
    PledgeEvent.EXPIRE: PledgeStatus.EXPIRED,
    PledgeEvent.RENEW: PledgeStatus.ACTIVE,
    PledgeEvent.PAYMENT_FAILED: PledgeStatus.PAST_DUE,
    PledgeEvent.CANCEL: PledgeStatus.CANCELLED,
    PledgeEvent.REFUND: PledgeStatus.REFUNDED,
    PledgeEvent.REFUND_FAILED: PledgeStatus.COMPLETED,
}


def events_from(status: PledgeStatus) -> set[PledgeEvent]:
    return {event for event in PledgeEvent if is_legal(status, event)}


def statuses_for(event: PledgeEvent) -> set[PledgeStatus]:
    return {status for status in PledgeStatus if is_legal(status, event)}


def is_legal(status: PledgeStatus, event: PledgeEvent) -> bool:
    try:
        next_status(status, event)
    except InvalidTransition:
        return False
    return True


def reachable(start: PledgeStatus) -> set[PledgeStatus]:
    found, ahead = {start}, [start]
    for here in ahead:
        new = {next_status(here, event) for event in events_from(here)} - found
        found |= new
        ahead += new
    return found


def follow(start: PledgeStatus, way: list[PledgeEvent]) -> list[PledgeStatus]:
    """Return every status on the way; each step must be a legal move."""
    passed = [start]
    for event in way:
        passed.append(next_status(passed[-1], event))
    return passed


@pytest.mark.parametrize("status", sorted(FINAL))
def test_no_event_leaves_a_final_status(status: PledgeStatus) -> None:
    assert events_from(status) == set()


def test_only_a_cancelled_pledge_is_final() -> None:
    assert {status for status in PledgeStatus if not events_from(status)} == FINAL


def test_every_status_is_reachable_from_pending() -> None:
    assert reachable(PledgeStatus.PENDING) == set(PledgeStatus)


@pytest.mark.parametrize("event", OUTCOME)
def test_an_event_leads_to_the_same_status_wherever_it_happens(event: PledgeEvent) -> None:
    assert {next_status(status, event) for status in statuses_for(event)} == {OUTCOME[event]}


def test_a_declined_try_changes_nothing_and_only_a_pending_pledge_has_one() -> None:
    assert statuses_for(PledgeEvent.DECLINE) == {PledgeStatus.PENDING}
    assert next_status(PledgeStatus.PENDING, PledgeEvent.DECLINE) is PledgeStatus.PENDING


@pytest.mark.parametrize("event", [PledgeEvent.COMPLETE, PledgeEvent.START])
def test_first_money_is_never_refused_before_it_came_even_after_the_checkout_expired(event: PledgeEvent) -> None:
    assert statuses_for(event) == UNPAID


def test_only_an_open_checkout_expires() -> None:
    assert statuses_for(PledgeEvent.EXPIRE) == {PledgeStatus.PENDING}


@pytest.mark.parametrize("event", [PledgeEvent.RENEW, PledgeEvent.PAYMENT_FAILED, PledgeEvent.CANCEL])
def test_a_pledge_renews_misses_a_payment_or_ends_exactly_while_it_takes_money(event: PledgeEvent) -> None:
    assert statuses_for(event) == TAKES_MONEY


@pytest.mark.parametrize("status", sorted(set(PledgeStatus) - UNPAID))
def test_a_paid_pledge_never_becomes_unpaid(status: PledgeStatus) -> None:
    assert not reachable(status) & UNPAID


@pytest.mark.parametrize("kind", [ONE_TIME, RECURRING], ids=["one-time", "recurring"])
def test_a_paid_pledge_stays_of_its_kind(kind: set[PledgeStatus]) -> None:
    assert set().union(*(reachable(status) for status in kind)) == kind


def test_a_refund_never_makes_a_pledge_active_and_happens_only_to_a_completed_one() -> None:
    assert statuses_for(PledgeEvent.REFUND) == {PledgeStatus.COMPLETED}
    assert PledgeStatus.ACTIVE not in reachable(next_status(PledgeStatus.COMPLETED, PledgeEvent.REFUND))


def test_a_refunded_pledge_leaves_that_only_if_its_money_did_not_reach_the_reader() -> None:
    assert events_from(PledgeStatus.REFUNDED) == {PledgeEvent.REFUND_FAILED}
    assert statuses_for(PledgeEvent.REFUND_FAILED) == {PledgeStatus.REFUNDED}


def test_a_refund_that_failed_is_undone_and_may_be_tried_again() -> None:
    refund_and_keep = [PledgeEvent.REFUND, PledgeEvent.REFUND_FAILED]
    assert follow(PledgeStatus.COMPLETED, refund_and_keep * 2)[-1] is PledgeStatus.COMPLETED


@pytest.mark.parametrize("event", [PledgeEvent.RENEW, PledgeEvent.PAYMENT_FAILED])
def test_a_repeated_renewal_or_miss_changes_nothing(event: PledgeEvent) -> None:
    for status in TAKES_MONEY:
        once = next_status(status, event)
        assert next_status(once, event) is once


def test_the_table_names_only_moves_that_are_made() -> None:
    assert {(status, event) for status in PledgeStatus for event in events_from(status)} == set(TRANSITIONS)


@pytest.mark.parametrize(("status", "event"), sorted(set(product(PledgeStatus, PledgeEvent)) - set(TRANSITIONS)))
def test_a_refused_move_says_where_the_pledge_stands(status: PledgeStatus, event: PledgeEvent) -> None:
    with pytest.raises(InvalidTransition) as refusal:
        next_status(status, event)
    assert refusal.value.detail.startswith(f"This pledge is {status.replace('_', ' ')}, so it cannot ")


def test_a_refusal_says_in_words_why() -> None:
    with pytest.raises(InvalidTransition, match=r"^This pledge is past due, so it cannot be refunded\.$"):
        next_status(PledgeStatus.PAST_DUE, PledgeEvent.REFUND)


@pytest.mark.parametrize(("before", "after"), list(product(PledgeStatus, PledgeStatus)))
def test_steps_are_legal_moves_that_end_there_or_are_refused(before: PledgeStatus, after: PledgeStatus) -> None:
    if after not in reachable(before):
        stands, wanted = before.replace("_", " "), after.replace("_", " ")
        with pytest.raises(InvalidTransition, match=f"^This pledge is {stands}, so it cannot become {wanted}"):
            transition_path(before, after)
        return
    way = transition_path(before, after)
    passed = follow(before, way)
    assert passed[-1] is after
    # A status that stays as it is, or comes twice, would be a step too many in the pledge's history.
    assert len(set(passed)) == len(passed)
    shortest = min(len(tried) for tried in ways(before, after))
    assert len(way) == shortest


def ways(before: PledgeStatus, after: PledgeStatus) -> list[list[PledgeEvent]]:
    """Return every way that comes by no status twice."""
    found, ahead = [], [[]]
    for way in ahead:
        passed = follow(before, way)
        if passed[-1] is after:
            found.append(way)
        ahead += [
            [*way, event] for event in events_from(passed[-1]) if next_status(passed[-1], event) not in passed
        ]
    return found


def test_steps_from_an_expired_checkout_to_its_end_tell_of_the_money_between() -> None:
    assert transition_path(PledgeStatus.EXPIRED, PledgeStatus.CANCELLED) == [PledgeEvent.START, PledgeEvent.CANCEL]
