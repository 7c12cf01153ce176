"""What a gateway says of a subscription as a whole: its amount, its renewal, its end; a younger word holds."""

import datetime
import uuid

import pytest
from sqlalchemy import update

from schemas.enums import Frequency, PledgeStatus
from service.container import Container
from service.db.models.pledge import Pledge
from service.domain.errors import PaymentMismatch
from service.domain.money import Money
from tests.domain.ledger import Ledger

SECOND, DAY = datetime.timedelta(seconds=1), datetime.timedelta(days=1)


def dollars(minor: int) -> Money:
    return Money(minor, "USD")


@pytest.fixture
def pledge(ledger: Ledger) -> uuid.UUID:
    """Return a monthly pledge of $5 that was paid a day ago."""
    pledge = ledger.pledge(Frequency.MONTHLY)
    ledger.tell(ledger.paid(pledge))
    ledger.container.clock.advance(days=1)
    return pledge


@pytest.mark.parametrize(
    ("later", "said", "amount"),
    [
        (SECOND, 300, 300),
        (SECOND, 900, 900),
        # Of two words of the same second nobody knows which came first: both orders end in the larger amount.
        (0 * SECOND, 300, 500),
        (0 * SECOND, 900, 900),
        (-SECOND, 300, 500),
        (-SECOND, 900, 500),
    ],
)
def test_an_amount_changed_at_the_gateway_is_followed_unless_the_word_is_old(
    ledger: Ledger, pledge: uuid.UUID, later: datetime.timedelta, said: int, amount: int
) -> None:
    now = ledger.container.clock()
    ledger.tell(ledger.standing(pledge, money=dollars(500)))
    ledger.tell(ledger.standing(pledge, money=dollars(said), occurred_at=now + later))
    assert ledger.read_pledge(pledge).amount_minor == amount


@pytest.mark.parametrize("said", [300, 900])
def test_the_first_word_on_an_amount_is_taken(ledger: Ledger, pledge: uuid.UUID, said: int) -> None:
    ledger.tell(ledger.standing(pledge, money=dollars(said)))
    assert ledger.read_pledge(pledge).amount_minor == said


def test_an_amount_that_we_want_changed_waits_for_our_own_order(
    ledger: Ledger, container: Container, pledge: uuid.UUID
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(pending_amount_minor=700))
    ledger.tell(ledger.standing(pledge, money=dollars(300)))
    assert (ledger.read_pledge(pledge).amount_minor, ledger.read_pledge(pledge).pending_amount_minor) == (500, 700)


@pytest.mark.parametrize(
    ("charged", "amount", "fees"), [(546, 500, 46), (600, 554, 46), (47, 1, 46), (46, 46, 0), (40, 40, 0)]
)
def test_what_covers_the_fees_stays_as_it_is(
    ledger: Ledger, container: Container, pledge: uuid.UUID, charged: int, amount: int, fees: int
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(fees_minor=46))
    ledger.tell(ledger.standing(pledge, money=dollars(charged)))
    assert (ledger.read_pledge(pledge).amount_minor, ledger.read_pledge(pledge).fees_minor) == (amount, fees)


def test_a_subscription_in_another_currency_is_refused(ledger: Ledger, pledge: uuid.UUID) -> None:
    with pytest.raises(PaymentMismatch, match="is in USD"):
        ledger.tell(ledger.standing(pledge, money=Money(500, "EUR")))


@pytest.mark.parametrize("words", [(False, True), (True, False)])
@pytest.mark.parametrize("apart", [SECOND, 0 * SECOND, -SECOND])
def test_the_younger_word_on_what_is_owed_holds_and_of_one_second_past_due(
    ledger: Ledger, pledge: uuid.UUID, words: tuple[bool, bool], apart: datetime.timedelta
) -> None:
    now = ledger.container.clock()
    for is_past_due, at in zip(words, (now, now + apart), strict=True):
        ledger.tell(ledger.standing(pledge, is_past_due=is_past_due, occurred_at=at))
    is_owed = any(words) if not apart else words[1 if apart > 0 * SECOND else 0]
    expected = PledgeStatus.PAST_DUE if is_owed else PledgeStatus.ACTIVE
    assert ledger.read_pledge(pledge).status == expected
    assert ledger.read_pledge(pledge).subscription_status_at == max(now, now + apart)


def test_a_word_that_says_nothing_of_a_start_moves_nothing(ledger: Ledger) -> None:
    pledge = ledger.pledge(Frequency.MONTHLY)
    ledger.tell(ledger.standing(pledge, is_started=False, money=dollars(300)))
    found = ledger.read_pledge(pledge)
    assert (found.status, found.amount_minor, found.subscription_status_at) == (PledgeStatus.PENDING, 500, None)
    ledger.tell(ledger.standing(pledge))
    assert ledger.read_pledge(pledge).status == PledgeStatus.ACTIVE


@pytest.mark.parametrize("later_first", [False, True])
def test_the_latest_renewal_that_was_told_holds(ledger: Ledger, pledge: uuid.UUID, *, later_first: bool) -> None:
    now = ledger.container.clock()
    days = (60, 30) if later_first else (30, 60)
    ledger.tell(*(ledger.standing(pledge, renews_at=now + number * DAY) for number in days))
    assert ledger.read_pledge(pledge).renews_at == now + 60 * DAY


@pytest.mark.parametrize("later_first", [False, True])
def test_a_subscription_ended_when_that_was_first_true_and_renews_no_more(
    ledger: Ledger, pledge: uuid.UUID, *, later_first: bool
) -> None:
    now = ledger.container.clock()
    ledger.tell(ledger.standing(pledge, renews_at=now + 30 * DAY))
    ends = (now + DAY, now) if later_first else (now, now + DAY)
    ledger.tell(*(ledger.standing(pledge, is_started=False, ended=True, occurred_at=at) for at in ends))
    ledger.tell(ledger.standing(pledge, renews_at=now + 60 * DAY))
    found = ledger.read_pledge(pledge)
    assert (found.status, found.ended_at, found.renews_at) == (PledgeStatus.CANCELLED, now, None)


def test_the_first_names_at_the_gateway_stay_and_another_subscription_is_refused(
    ledger: Ledger, pledge: uuid.UUID
) -> None:
    ledger.tell(ledger.standing(pledge, customer="cus_1"), ledger.standing(pledge, customer="cus_2"))
    with pytest.raises(PaymentMismatch, match="another subscription"):
        ledger.tell(ledger.standing(pledge, subscription="sub_2"))
    found = ledger.read_pledge(pledge)
    assert (found.subscription_reference, found.customer_reference) == ("sub_1", "cus_1")


def test_a_one_time_pledge_has_no_names_of_a_subscription(ledger: Ledger) -> None:
    pledge = ledger.pledge()
    ledger.tell(ledger.paid(pledge, subscription="sub_1", customer="cus_1", renews_at=ledger.container.clock()))
    found = ledger.read_pledge(pledge)
    assert (found.subscription_reference, found.customer_reference, found.renews_at) == (None, None, None)
