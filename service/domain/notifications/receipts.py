"""The facts on a payment's receipt: the same in the email and on the reader's page, and those of the ledger."""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import DisputeStatus, Frequency, RefundStatus
from service.db.models.payment import Dispute, Payment, Refund
from service.db.models.pledge import Pledge
from service.domain.money import Money
from service.domain.pledges.pledges import total_charge
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.ports import PaymentMethod

# Crockford's Base32 has no letter that can be mistaken for a digit.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP_COUNT, GROUP_SIZE = 3, 4


@dataclass(frozen=True, kw_only=True)
class RefundFact:
    """Money that returned to the reader, and the day."""

    refunded_on: datetime.date
    money: Money


@dataclass(frozen=True, kw_only=True)
class DisputeFact:
    """A dispute of the payment: the day it began, the contested amount, and what the bank withholds at present."""

    opened_on: datetime.date
    status: DisputeStatus
    money: Money
    withheld: Money


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The facts on the receipt of one payment. Days are of the campaign's time zone.

    `paid` is what was charged; `fees` is the part of it that covers the gateway's fees, if that is known. `net` is
    what the newsroom has of it. `method` is None if it is unknown, as of old payments, or if there was none.
    """

    number: str
    payment_number: str
    paid_on: datetime.date
    frequency: Frequency
    paid: Money
    fees: Money | None
    refunds: tuple[RefundFact, ...]
    disputes: tuple[DisputeFact, ...]
    net: Money
    method: PaymentMethod | None
    payee: str
    postal_address: str | None
    tax_line: str | None
    is_test: bool


def load_receipt(session: Session, payment: Payment, pledge: Pledge) -> Receipt:
    """Return the facts on the receipt of a successful payment of this pledge."""
    return load_receipts(session, [(payment, pledge)])[0]


def load_receipts(session: Session, payments: Sequence[tuple[Payment, Pledge]]) -> list[Receipt]:
    """Return the facts on the receipts of successful payments, each with its pledge, in the same order."""
    ids = [payment.id for payment, _ in payments]
    refunds: dict[uuid.UUID, list[Refund]] = defaultdict(list)
    disputes: dict[uuid.UUID, list[Dispute]] = defaultdict(list)
    for refund in session.scalars(
        select(Refund)
        .where(Refund.payment_id.in_(ids), Refund.status == RefundStatus.SUCCEEDED)
        .order_by(Refund.created_at, Refund.id)
    ):
        refunds[refund.payment_id].append(refund)
    for dispute in session.scalars(
        select(Dispute).where(Dispute.payment_id.in_(ids)).order_by(Dispute.opened_at, Dispute.id)
    ):
        disputes[dispute.payment_id].append(dispute)
    return [_receipt(payment, pledge, refunds[payment.id], disputes[payment.id]) for payment, pledge in payments]


def _receipt(payment: Payment, pledge: Pledge, refunds: Sequence[Refund], disputes: Sequence[Dispute]) -> Receipt:
    campaign = pledge.campaign

    def day(at: datetime.datetime) -> datetime.date:
        return at.astimezone(ZoneInfo(campaign.timezone)).date()

    def money(amount_minor: int) -> Money:
        return Money(amount_minor, payment.currency)

    returned_minor = sum(refund.amount_minor for refund in refunds)
    withheld_minor = sum(dispute.withheld_minor for dispute in disputes)
    is_test = payment.gateway == SANDBOX_GATEWAY
    method = payment.method_kind and PaymentMethod(
        kind=payment.method_kind, brand=payment.method_brand, last4=payment.method_last4
    )
    return Receipt(
        number=receipt_number(payment.id, day(payment.paid_at).year),
        payment_number=str(payment.id) if is_test else payment.gateway_reference,
        paid_on=day(payment.paid_at),
        frequency=payment.frequency or pledge.frequency,
        paid=money(payment.amount_minor),
        fees=covered_fees_of(payment, pledge),
        refunds=tuple(
            RefundFact(refunded_on=day(refund.created_at), money=money(refund.amount_minor)) for refund in refunds
        ),
        disputes=tuple(
            DisputeFact(
                opened_on=day(dispute.opened_at),
                status=dispute.status,
                money=money(dispute.amount_minor),
                withheld=money(dispute.withheld_minor),
            )
            for dispute in disputes
        ),
        net=money(payment.amount_minor - returned_minor - withheld_minor),
        method=method or None,
        payee=campaign.legal_name or campaign.name,
        postal_address=campaign.brand.get("postal_address"),
        tax_line=campaign.tax_line,
        is_test=is_test,
    )


def covered_fees_of(payment: Payment, pledge: Pledge) -> Money | None:
    """Return the part of a payment that covers the gateway's fees; None if there is none, or if it is unknown.

    The pledge's amount may have changed since this payment. Then that part of it is not recorded any more.
    """
    is_of_this_payment = Money(payment.amount_minor, payment.currency) == total_charge(pledge)
    return Money(pledge.fees_minor, pledge.currency) if pledge.fees_minor and is_of_this_payment else None


def receipt_number(payment_id: uuid.UUID, year: int) -> str:
    """Return the number of a payment's receipt, such as "2026-7K3Q-9XTM-4BHF".

    The characters are the last 60 bits of the payment's id, which are random in a UUIDv7 (RFC 9562, section 5.7).
    """
    bits = payment_id.int
    characters = "".join(
        ALPHABET[bits >> 5 * position & 31] for position in reversed(range(GROUP_COUNT * GROUP_SIZE))
    )
    return "-".join(
        [
            f"{year:04}",
            *(characters[start : start + GROUP_SIZE] for start in range(0, len(characters), GROUP_SIZE)),
        ]
    )
