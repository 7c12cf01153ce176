"""Where a pledge and a payment stand by what is known of them, on plain facts."""

import datetime
from typing import Any

import pytest

from schemas.enums import DisputeStatus, Frequency, PaymentStatus, PledgeStatus
from service.domain.ledger.status import PledgeFacts, derive_payment_status, derive_pledge_status

T0 = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
T1 = T0 + datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("facts", "stands"),
    [
        ({}, PledgeStatus.PENDING),
        ({"checkout_closed": True}, PledgeStatus.EXPIRED),
        ({"paid_minor": 500}, PledgeStatus.COMPLETED),
        ({"paid_minor": 500, "checkout_closed": True}, PledgeStatus.COMPLETED),
        ({"paid_minor": 500, "refunded_minor": 499}, PledgeStatus.COMPLETED),
        ({"paid_minor": 500, "refunded_minor": 500}, PledgeStatus.REFUNDED),
        ({"last_failed_at": T0}, PledgeStatus.PENDING),
    ],
)
def test_a_one_time_pledge_stands_by_its_money(facts: dict[str, Any], stands: PledgeStatus) -> None:
    assert derive_pledge_status(PledgeFacts(frequency=Frequency.ONCE, **facts)) == stands


@pytest.mark.parametrize("frequency", [Frequency.MONTHLY, Frequency.ANNUAL])
@pytest.mark.parametrize(
    ("facts", "stands"),
    [
        ({}, PledgeStatus.PENDING),
        ({"checkout_closed": True}, PledgeStatus.EXPIRED),
        ({"has_ended": True}, PledgeStatus.EXPIRED),
        ({"is_started": True}, PledgeStatus.ACTIVE),
        ({"is_started": True, "checkout_closed": True}, PledgeStatus.ACTIVE),
        ({"is_started": True, "has_ended": True}, PledgeStatus.CANCELLED),
        ({"paid_minor": 500, "last_paid_at": T0}, PledgeStatus.ACTIVE),
        ({"paid_minor": 500, "last_paid_at": T0, "checkout_closed": True}, PledgeStatus.ACTIVE),
        ({"paid_minor": 500, "last_paid_at": T0, "has_ended": True}, PledgeStatus.CANCELLED),
        ({"paid_minor": 500, "last_paid_at": T0, "refunded_minor": 500}, PledgeStatus.ACTIVE),
        ({"last_failed_at": T0}, PledgeStatus.PENDING),
    ],
)
def test_a_recurring_pledge_stands_by_its_start_and_its_end(
    frequency: Frequency, facts: dict[str, Any], stands: PledgeStatus
) -> None:
    assert derive_pledge_status(PledgeFacts(frequency=frequency, **facts)) == stands


@pytest.mark.parametrize(
    ("facts", "is_owed"),
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
def test_of_two_words_on_what_is_owed_the_later_one_holds(facts: dict[str, Any], *, is_owed: bool) -> None:
    stands = derive_pledge_status(
        PledgeFacts(frequency=Frequency.MONTHLY, paid_minor=500, is_started=True, **facts)
    )
    assert stands == (PledgeStatus.PAST_DUE if is_owed else PledgeStatus.ACTIVE)


@pytest.mark.parametrize(
    ("returned", "disputes", "stands"),
    [
        (0, [], PaymentStatus.SUCCEEDED),
        (1, [], PaymentStatus.PARTIALLY_REFUNDED),
        (499, [], PaymentStatus.PARTIALLY_REFUNDED),
        (500, [], PaymentStatus.REFUNDED),
        (0, [DisputeStatus.OPEN], PaymentStatus.DISPUTED),
        (0, [DisputeStatus.LOST], PaymentStatus.DISPUTED),
        (0, [DisputeStatus.WON], PaymentStatus.SUCCEEDED),
        (200, [DisputeStatus.WON], PaymentStatus.PARTIALLY_REFUNDED),
        (0, [DisputeStatus.WON, DisputeStatus.OPEN], PaymentStatus.DISPUTED),
        (500, [DisputeStatus.LOST], PaymentStatus.DISPUTED),
    ],
)
def test_a_payment_stands_by_its_refunds_and_disputes(
    returned: int, disputes: list[DisputeStatus], stands: PaymentStatus
) -> None:
    assert derive_payment_status(500, returned, disputes) == stands
