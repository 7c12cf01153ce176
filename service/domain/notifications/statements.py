"""A supporter's statement: the payments of a period, what came back of each, and what is left, as in the ledger.

A payment belongs to the period in which it was made, by the calendar of its campaign's time zone. What came back
of it is deducted whenever that was, so that a later statement of the same period shows a later refund. What came
back in the period of earlier payments is listed apart and not deducted a second time.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, contains_eager

from schemas.enums import PaymentStatus, RefundStatus
from service.db.models.campaign import Campaign
from service.db.models.payment import Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.campaigns.periods import calendars, is_in_period
from service.domain.money import Money
from service.domain.notifications.receipts import Receipt, load_receipts

LAST_MONTH, LAST_DAY = 12, 31
# No payment is outside these days. A day before the first of the calendar, or after its last, does not exist.
FIRST_SEARCHED, LAST_SEARCHED = datetime.date(1970, 1, 1), datetime.date(9998, LAST_MONTH, LAST_DAY)


@dataclass(frozen=True)
class Period:
    """The days from `first` to `last`, both included."""

    first: datetime.date
    last: datetime.date

    @classmethod
    def of_year(cls, year: int) -> "Period":
        return cls(datetime.date(year, 1, 1), datetime.date(year, LAST_MONTH, LAST_DAY))

    @property
    def year(self) -> int | None:
        """The calendar year that this is; None if it is another period."""
        return self.first.year if self == Period.of_year(self.first.year) else None

    def contains(self, day: datetime.date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """One payment of a statement."""

    campaign: str
    receipt: Receipt

    @property
    def returned(self) -> Money:
        """What the reader, or their bank, has of it again."""
        return Money(self.receipt.paid.amount_minor - self.receipt.net.amount_minor, self.receipt.paid.currency)


@dataclass(frozen=True, kw_only=True)
class StatementGroup:
    """The payments to one payee in one currency, the oldest first. Those of the sandbox are apart."""

    payee: str
    postal_address: str | None
    tax_line: str | None
    currency: str
    is_test: bool
    lines: tuple[StatementLine, ...]

    @property
    def paid(self) -> Money:
        return Money(sum(line.receipt.paid.amount_minor for line in self.lines), self.currency)

    @property
    def returned(self) -> Money:
        return Money(sum(line.returned.amount_minor for line in self.lines), self.currency)

    @property
    def net(self) -> Money:
        return Money(sum(line.receipt.net.amount_minor for line in self.lines), self.currency)


@dataclass(frozen=True, kw_only=True)
class EarlierReturn:
    """Money that came back in the period, of a payment made before it."""

    returned_on: datetime.date
    money: Money
    receipt: Receipt


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The statement of a period. There is no sum over currencies."""

    period: Period
    groups: tuple[StatementGroup, ...]
    earlier_returns: tuple[EarlierReturn, ...]


def load_statement(session: Session, supporter_id: uuid.UUID, period: Period) -> Statement:
    """Return the statement of a supporter's payments to all campaigns."""
    days = calendars(session, None)
    searched = Period(*(min(max(day, FIRST_SEARCHED), LAST_SEARCHED) for day in (period.first, period.last)))
    made_in_period = is_in_period(Payment.paid_at, searched.first, searched.last, days)
    payments = _payments(session, _successful_payments(supporter_id).where(made_in_period))
    campaigns = [pledge.campaign.name for _, pledge in payments]
    lines = [
        StatementLine(campaign=campaign, receipt=receipt)
        for campaign, receipt in zip(campaigns, load_receipts(session, payments), strict=True)
    ]
    return Statement(
        period=period,
        groups=tuple(_group(lines)),
        earlier_returns=tuple(_earlier_returns(session, supporter_id, searched)),
    )


def years_with_payments(session: Session, supporter_id: uuid.UUID) -> list[int]:
    """Return the years in which a supporter paid, the latest first."""
    instants = session.execute(
        _successful_payments(supporter_id).with_only_columns(Payment.paid_at, Campaign.timezone)
    )
    return sorted({at.astimezone(ZoneInfo(timezone)).year for at, timezone in instants}, reverse=True)


def _successful_payments(supporter_id: uuid.UUID) -> Select[Payment, Pledge]:
    return (
        select(Payment, Pledge)
        .join(Pledge, Pledge.id == Payment.pledge_id)
        .join(Campaign, Campaign.id == Pledge.campaign_id)
        .where(Pledge.supporter_id == supporter_id, Payment.status != PaymentStatus.FAILED)
    )


def _payments(session: Session, query: Select[Payment, Pledge]) -> list[tuple[Payment, Pledge]]:
    rows = session.execute(query.options(contains_eager(Pledge.campaign)).order_by(Payment.paid_at, Payment.id))
    return [(payment, pledge) for payment, pledge in rows]


def _group(lines: Sequence[StatementLine]) -> list[StatementGroup]:
    """Return the groups of lines, those of the payee who was paid first before the others."""
    keys = [
        (
            line.receipt.payee,
            line.receipt.postal_address,
            line.receipt.tax_line,
            line.receipt.paid.currency,
            line.receipt.is_test,
        )
        for line in lines
    ]
    return [
        StatementGroup(
            payee=key[0],
            postal_address=key[1],
            tax_line=key[2],
            currency=key[3],
            is_test=key[4],
            lines=tuple(line for line, own_key in zip(lines, keys, strict=True) if own_key == key),
        )
        for key in dict.fromkeys(keys)
    ]


def _earlier_returns(session: Session, supporter_id: uuid.UUID, period: Period) -> list[EarlierReturn]:
    days = calendars(session, None)
    before = period.first - datetime.timedelta(days=1)
    refunded = select(Refund.payment_id).where(
        Refund.status == RefundStatus.SUCCEEDED,
        Refund.payment_id == Payment.id,
        is_in_period(Refund.created_at, period.first, period.last, days),
    )
    disputed = select(Dispute.payment_id).where(
        Dispute.withheld_minor > 0,
        Dispute.payment_id == Payment.id,
        is_in_period(Dispute.opened_at, period.first, period.last, days),
    )
    query = _successful_payments(supporter_id).where(
        is_in_period(Payment.paid_at, None, before, days), or_(refunded.exists(), disputed.exists())
    )
    found = []
    for receipt in load_receipts(session, _payments(session, query)):
        returns = [(fact.refunded_on, fact.money) for fact in receipt.refunds]
        returns += [(fact.opened_on, fact.withheld) for fact in receipt.disputes if fact.withheld.amount_minor]
        found += [
            EarlierReturn(returned_on=day, money=money, receipt=receipt)
            for day, money in returns
            if period.contains(day)
        ]
    return sorted(found, key=lambda item: (item.returned_on, item.receipt.number))
