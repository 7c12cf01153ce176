"""Properties of the pledge's transition table, each with a reason of its own."""

from itertools import product

import pytest

from schemas.enums import PledgeStatus
from service.domain.errors import InvalidTransition
from service.domain.pledges.status import TRANSITIONS, PledgeEvent, next_status, transition_path
from tests.domain.state_machines import PLEDGE

UNPAID = {PledgeStatus.PENDING, PledgeStatus.EXPIRED}
ON_THE_WAY = {PledgeStatus.PROCESSING}
ONE_TIME = {PledgeStatus.COMPLETED, PledgeStatus.REFUNDED}
IS_CHARGED = {PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE}
RECURRING = IS_CHARGED | {PledgeStatus.CANCELLED}
# Every event but a decline leads to one status, whatever the status before.
OUTCOME = {
    PledgeEvent.COMPLETE: PledgeStatus.COMPLETED,
    PledgeEvent.START: PledgeStatus.ACTIVE,
    PledgeEvent.AWAIT_PAYMENT: PledgeStatus.PROCESSING,
    PledgeEvent.BOUNCE: PledgeStatus.EXPIRED,
    PledgeEvent.EXPIRE: PledgeStatus.EXPIRED,
    PledgeEvent.RENEW: PledgeStatus.ACTIVE,
    PledgeEvent.PAYMENT_FAILED: PledgeStatus.PAST_DUE,
    PledgeEvent.CANCEL: PledgeStatus.CANCELLED,
    PledgeEvent.RESUME: PledgeStatus.ACTIVE,
    PledgeEvent.REFUND: PledgeStatus.REFUNDED,
    PledgeEvent.REFUND_FAILED: PledgeStatus.COMPLETED,
}


def follow(start: PledgeStatus, path: list[PledgeEvent]) -> list[PledgeStatus]:
    """Return every status on the path; each event must be allowed."""
    statuses = [start]
    for event in path:
        statuses.append(next_status(statuses[-1], event))
    return statuses


def test_only_another_subscription_resumes_a_cancelled_pledge() -> None:
    assert PLEDGE.events_from(PledgeStatus.CANCELLED) == {PledgeEvent.RESUME}


def test_every_status_is_reachable_from_pending() -> None:
    assert PLEDGE.reachable(PledgeStatus.PENDING) == set(PledgeStatus)


@pytest.mark.parametrize("event", OUTCOME)
def test_event_leads_to_one_status_from_every_status(event: PledgeEvent) -> None:
    assert {next_status(status, event) for status in PLEDGE.statuses_for(event)} == {OUTCOME[event]}


def test_decline_changes_nothing_and_only_a_pending_pledge_is_declined() -> None:
    assert PLEDGE.statuses_for(PledgeEvent.DECLINE) == {PledgeStatus.PENDING}
    assert next_status(PledgeStatus.PENDING, PledgeEvent.DECLINE) is PledgeStatus.PENDING


@pytest.mark.parametrize("event", [PledgeEvent.COMPLETE, PledgeEvent.START])
def test_first_payment_is_accepted_even_after_the_checkout_expired(event: PledgeEvent) -> None:
    assert PLEDGE.statuses_for(event) == UNPAID | ON_THE_WAY


def test_payment_is_awaited_even_after_our_time_limit() -> None:
    assert PLEDGE.statuses_for(PledgeEvent.AWAIT_PAYMENT) == UNPAID


def test_pledge_whose_money_is_on_its_way_is_spared_by_expiry_and_may_bounce() -> None:
    assert PLEDGE.statuses_for(PledgeEvent.BOUNCE) == ON_THE_WAY
    assert not PLEDGE.is_allowed(PledgeStatus.PROCESSING, PledgeEvent.EXPIRE)


def test_only_a_pending_pledge_expires() -> None:
    assert PLEDGE.statuses_for(PledgeEvent.EXPIRE) == {PledgeStatus.PENDING}


def test_only_an_active_or_past_due_pledge_renews() -> None:
    assert PLEDGE.statuses_for(PledgeEvent.RENEW) == IS_CHARGED


@pytest.mark.parametrize("event", [PledgeEvent.PAYMENT_FAILED, PledgeEvent.CANCEL])
def test_pledge_that_the_gateway_charges_fails_a_payment_or_is_cancelled(event: PledgeEvent) -> None:
    assert PLEDGE.statuses_for(event) == IS_CHARGED | ON_THE_WAY


@pytest.mark.parametrize("status", sorted(set(PledgeStatus) - UNPAID - ON_THE_WAY))
def test_paid_pledge_never_becomes_unpaid(status: PledgeStatus) -> None:
    assert not PLEDGE.reachable(status) & (UNPAID | ON_THE_WAY)


@pytest.mark.parametrize("kind", [ONE_TIME, RECURRING], ids=["one-time", "recurring"])
def test_paid_pledge_stays_one_time_or_recurring(kind: set[PledgeStatus]) -> None:
    assert set().union(*(PLEDGE.reachable(status) for status in kind)) == kind


def test_only_a_completed_pledge_is_refunded_and_it_never_becomes_active() -> None:
    assert PLEDGE.statuses_for(PledgeEvent.REFUND) == {PledgeStatus.COMPLETED}
    assert PledgeStatus.ACTIVE not in PLEDGE.reachable(next_status(PledgeStatus.COMPLETED, PledgeEvent.REFUND))


def test_refunded_pledge_leaves_that_status_only_if_the_refund_failed() -> None:
    assert PLEDGE.events_from(PledgeStatus.REFUNDED) == {PledgeEvent.REFUND_FAILED}
    assert PLEDGE.statuses_for(PledgeEvent.REFUND_FAILED) == {PledgeStatus.REFUNDED}


def test_failed_refund_is_undone_and_may_be_retried() -> None:
    refund_and_failure = [PledgeEvent.REFUND, PledgeEvent.REFUND_FAILED]
    assert follow(PledgeStatus.COMPLETED, refund_and_failure * 2)[-1] is PledgeStatus.COMPLETED


@pytest.mark.parametrize("event", [PledgeEvent.RENEW, PledgeEvent.PAYMENT_FAILED])
def test_repeated_renewal_or_failed_payment_changes_nothing(event: PledgeEvent) -> None:
    for status in IS_CHARGED:
        first = next_status(status, event)
        assert next_status(first, event) is first


def test_table_holds_exactly_the_allowed_transitions() -> None:
    assert {(status, event) for status in PledgeStatus for event in PLEDGE.events_from(status)} == set(TRANSITIONS)


def test_invalid_transition_names_the_event_in_words() -> None:
    with pytest.raises(InvalidTransition, match=r"^This pledge is past due, so it cannot be refunded\.$"):
        next_status(PledgeStatus.PAST_DUE, PledgeEvent.REFUND)


@pytest.mark.parametrize(("before", "after"), list(product(PledgeStatus, PledgeStatus)))
def test_transition_path_is_the_shortest_allowed_one_or_is_refused(
    before: PledgeStatus, after: PledgeStatus
) -> None:
    if after not in PLEDGE.reachable(before):
        current, target = before.replace("_", " "), after.replace("_", " ")
        with pytest.raises(InvalidTransition, match=f"^This pledge is {current}, so it cannot become {target}"):
            transition_path(before, after)
        return
    path = transition_path(before, after)
    statuses = follow(before, path)
    assert statuses[-1] is after
    # A repeated status would add a needless row to the pledge's history.
    assert len(set(statuses)) == len(statuses)
    shortest = min(len(candidate) for candidate in simple_paths(before, after))
    assert len(path) == shortest


def simple_paths(before: PledgeStatus, after: PledgeStatus) -> list[list[PledgeEvent]]:
    """Return every path that visits no status twice."""
    found, queue = [], [[]]
    for path in queue:
        statuses = follow(before, path)
        if statuses[-1] is after:
            found.append(path)
        queue += [
            [*path, event]
            for event in PLEDGE.events_from(statuses[-1])
            if next_status(statuses[-1], event) not in statuses
        ]
    return found


def test_path_from_an_expired_checkout_to_cancelled_includes_the_payment() -> None:
    assert transition_path(PledgeStatus.EXPIRED, PledgeStatus.CANCELLED) == [PledgeEvent.START, PledgeEvent.CANCEL]
