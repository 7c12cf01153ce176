"""The statuses of pledges and payments, derived from facts without a database."""

import datetime
from typing import Any

import pytest

from schemas.enums import Frequency, PaymentStatus, PledgeStatus
from service.domain.ledger.status import PledgeFacts, derive_payment_status, derive_pledge_status

T0 = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
T1 = T0 + datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, PledgeStatus.PENDING),
        ({"checkout_closed": True}, PledgeStatus.EXPIRED),
        ({"paid_minor": 500}, PledgeStatus.COMPLETED),
        ({"paid_minor": 500, "checkout_closed": True}, PledgeStatus.COMPLETED),
        ({"paid_minor": 500, "refunded_minor": 499}, PledgeStatus.COMPLETED),
        ({"paid_minor": 500, "refunded_minor": 500}, PledgeStatus.REFUNDED),
        ({"last_failed_at": T0}, PledgeStatus.PENDING),
        ({"checkout_completed_at": T0}, PledgeStatus.PROCESSING),
        # Our own time limit may have passed before the report came.
        ({"checkout_completed_at": T0, "checkout_closed": True}, PledgeStatus.PROCESSING),
        ({"checkout_completed_at": T0, "paid_minor": 500}, PledgeStatus.COMPLETED),
        ({"checkout_completed_at": T0, "bounced_at": T1}, PledgeStatus.EXPIRED),
        ({"bounced_at": T1}, PledgeStatus.EXPIRED),
        ({"checkout_completed_at": T0, "bounced_at": T1, "paid_minor": 500}, PledgeStatus.COMPLETED),
        # A debit that fails after the checkout bounced; a card that was declined before it did not.
        ({"checkout_completed_at": T0, "last_failed_at": T1}, PledgeStatus.EXPIRED),
        ({"checkout_completed_at": T1, "last_failed_at": T0}, PledgeStatus.PROCESSING),
    ],
)
def test_status_of_a_one_time_pledge(facts: dict[str, Any], expected: PledgeStatus) -> None:
    assert derive_pledge_status(PledgeFacts(frequency=Frequency.ONCE, **facts)) == expected


@pytest.mark.parametrize("frequency", [Frequency.MONTHLY, Frequency.ANNUAL])
@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, PledgeStatus.PENDING),
        ({"checkout_closed": True}, PledgeStatus.EXPIRED),
        ({"has_ended": True}, PledgeStatus.EXPIRED),
        # A subscription runs before its first payment is known: the money is on its way.
        ({"is_started": True}, PledgeStatus.PROCESSING),
        ({"is_started": True, "checkout_closed": True}, PledgeStatus.PROCESSING),
        ({"is_started": True, "was_active": True}, PledgeStatus.ACTIVE),
        ({"is_started": True, "settled_outside_at": T0}, PledgeStatus.ACTIVE),
        ({"checkout_completed_at": T0}, PledgeStatus.PROCESSING),
        ({"checkout_completed_at": T0, "checkout_closed": True}, PledgeStatus.PROCESSING),
        ({"checkout_completed_at": T0, "has_ended": True}, PledgeStatus.CANCELLED),
        ({"checkout_completed_at": T0, "bounced_at": T1}, PledgeStatus.PAST_DUE),
        ({"checkout_completed_at": T0, "last_failed_at": T1}, PledgeStatus.PAST_DUE),
        ({"checkout_completed_at": T1, "last_failed_at": T0}, PledgeStatus.PROCESSING),
        (
            {"checkout_completed_at": T0, "last_failed_at": T0, "gateway_status_at": T1, "is_started": True},
            PledgeStatus.PROCESSING,
        ),
        ({"is_started": True, "has_ended": True}, PledgeStatus.CANCELLED),
        ({"paid_minor": 500, "last_paid_at": T0}, PledgeStatus.ACTIVE),
        ({"paid_minor": 500, "last_paid_at": T0, "checkout_closed": True}, PledgeStatus.ACTIVE),
        ({"paid_minor": 500, "last_paid_at": T0, "has_ended": True}, PledgeStatus.CANCELLED),
        ({"paid_minor": 500, "last_paid_at": T0, "refunded_minor": 500}, PledgeStatus.ACTIVE),
        ({"last_failed_at": T0}, PledgeStatus.PENDING),
    ],
)
def test_status_of_a_recurring_pledge(frequency: Frequency, facts: dict[str, Any], expected: PledgeStatus) -> None:
    assert derive_pledge_status(PledgeFacts(frequency=frequency, **facts)) == expected


@pytest.mark.parametrize(
    ("facts", "is_past_due"),
    [
        ({"last_paid_at": T1, "last_failed_at": T0}, False),
        ({"last_paid_at": T0, "last_failed_at": T1}, True),
        ({"last_paid_at": T0, "last_failed_at": T0}, False),
        ({"last_paid_at": T0, "gateway_status_at": T1, "gateway_past_due": True}, True),
        ({"last_paid_at": T1, "gateway_status_at": T0, "gateway_past_due": True}, False),
        ({"last_paid_at": T0, "gateway_status_at": T0, "gateway_past_due": True}, False),
        ({"last_failed_at": T0, "gateway_status_at": T1}, False),
        ({"last_failed_at": T1, "gateway_status_at": T0}, True),
        ({"last_failed_at": T0, "gateway_status_at": T0}, True),
        ({"gateway_status_at": T0}, False),
        ({"gateway_status_at": T0, "gateway_past_due": True}, True),
        ({"last_paid_at": T1, "last_failed_at": T0, "gateway_status_at": T0, "gateway_past_due": True}, False),
        ({"last_paid_at": T0, "last_failed_at": T1, "gateway_status_at": T0}, True),
        ({}, False),
    ],
)
def test_latest_report_decides_whether_a_pledge_is_past_due(facts: dict[str, Any], *, is_past_due: bool) -> None:
    status = derive_pledge_status(
        PledgeFacts(frequency=Frequency.MONTHLY, paid_minor=500, is_started=True, **facts)
    )
    assert status == (PledgeStatus.PAST_DUE if is_past_due else PledgeStatus.ACTIVE)


@pytest.mark.parametrize(
    ("refunded_minor", "withheld_minor", "is_undecided", "expected"),
    [
        (0, 0, False, PaymentStatus.SUCCEEDED),
        (1, 0, False, PaymentStatus.PARTIALLY_REFUNDED),
        (499, 0, False, PaymentStatus.PARTIALLY_REFUNDED),
        (500, 0, False, PaymentStatus.REFUNDED),
        (0, 500, True, PaymentStatus.DISPUTED),
        (0, 500, False, PaymentStatus.DISPUTED),
        (0, 200, True, PaymentStatus.DISPUTED),
        (0, 200, False, PaymentStatus.PARTIALLY_REFUNDED),
        (300, 200, False, PaymentStatus.DISPUTED),
        (200, 200, False, PaymentStatus.PARTIALLY_REFUNDED),
        (500, 500, False, PaymentStatus.DISPUTED),
        (0, 600, False, PaymentStatus.DISPUTED),
    ],
)
def test_status_of_a_payment(
    refunded_minor: int, withheld_minor: int, is_undecided: bool, expected: PaymentStatus
) -> None:
    assert derive_payment_status(500, refunded_minor, withheld_minor, is_undecided=is_undecided) == expected
