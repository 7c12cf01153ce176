"""What the PDF and the CSV of a statement say alike: its heading, and what came back of a payment."""

import datetime
from collections.abc import Callable

from schemas.enums import DisputeStatus
from service.domain.money import Money
from service.domain.notifications.receipts import Receipt
from service.domain.notifications.statements import Period
from service.pages.translations import Texts


def heading(period: Period, texts: Texts, *, today: datetime.date) -> str:
    """Return "Receipt for 2026" for a year that is over, and else "Statement of payments"."""
    is_over = period.last < today
    return (
        texts.format("statement_heading_year", year=str(period.year))
        if period.year is not None and is_over
        else texts.statement_heading
    )


def describe_returns(
    receipt: Receipt, texts: Texts, *, money: Callable[[Money], str], date: Callable[[datetime.date], str]
) -> list[str]:
    """Return a sentence for each refund, and for each dispute that withholds money."""
    sentences = [
        texts.format("statement_refunded", amount=money(fact.money), date=date(fact.refunded_on))
        for fact in receipt.refunds
    ]
    for fact in receipt.disputes:
        if fact.withheld.amount_minor:
            is_open = fact.status in (DisputeStatus.OPEN, DisputeStatus.INQUIRY)
            name = "statement_disputed" if is_open else "statement_dispute_lost"
            sentences.append(texts.format(name, amount=money(fact.withheld), date=date(fact.opened_on)))
    return sentences
