"""Emails of each kind and variant, for the tests of their texts."""

import dataclasses
import datetime
from typing import Any

from schemas.enums import EmailKind, Frequency
from service.domain.money import Money
from service.domain.ports import NotificationEmail, PaymentMethod

DAY = datetime.date(2026, 12, 23)
NOTIFICATION = NotificationEmail(
    kind=EmailKind.RECEIPT,
    message_id="<notice-1@desk.test>",
    to="reader@news.example",
    lang="en",
    campaign_name="The Paper",
    texts={},
    frequency=Frequency.MONTHLY,
    money=Money(750, "USD"),
    event_date=DAY,
    page_url="http://desk.test/p/token",
    account_url="http://desk.test/me",
)
RECEIPT: dict[str, Any] = {
    "receipt_number": "2026-7K3Q-9XTM-4BHF",
    "legal_name": "The Paper Foundation",
    "tax_line": "EIN 12-3456789. No goods or services were given in return.",
    "fees": Money(52, "USD"),
    "payment_number": "ch_3Qk2",
    "method": PaymentMethod(kind="card", brand="visa", last4="4242"),
    "links_to_pledge": True,
}
INVOICE_URL = "https://invoice.stripe.test/i/1"
VARIANTS: list[dict[str, Any]] = [
    *({"kind": EmailKind.RECEIPT, "frequency": frequency, **RECEIPT} for frequency in Frequency),
    {"kind": EmailKind.RECEIPT, "frequency": Frequency.ONCE, "receipt_number": "2026-0000-0000-0000"},
    *({"kind": EmailKind.PAYMENT_FAILED, "dunning_number": number} for number in (1, 2, 3)),
    *({"kind": EmailKind.PAYMENT_FAILED, "frequency": frequency, "event_date": None} for frequency in Frequency),
    {"kind": EmailKind.PAYMENT_FAILED, "invoice_url": INVOICE_URL},
    # Its button is the only link.
    {"kind": EmailKind.PAYMENT_FAILED, "invoice_url": INVOICE_URL, "needs_confirmation": True},
    {"kind": EmailKind.RENEWAL, "frequency": Frequency.ANNUAL},
    *(
        {
            "kind": EmailKind.REFUND,
            "money": Money(250, "USD"),
            "paid": Money(750, "USD"),
            "net": Money(500, "USD"),
            "receipt_number": "2026-7K3Q-9XTM-4BHF",
            "links_to_pledge": is_running,
        }
        for is_running in (False, True)
    ),
    {"kind": EmailKind.ERASURE, "frequency": None, "money": None, "event_date": None},
    {"kind": EmailKind.EMAIL_CHANGED, "frequency": None, "money": None, "can_be_undone": True},
    {"kind": EmailKind.MONTHLY_YEARLY, "since": datetime.date(2024, 12, 1)},
    {
        "kind": EmailKind.YEARLY_RECEIPT,
        "frequency": None,
        "money": None,
        "event_date": datetime.date(2026, 12, 31),
    },
    {"kind": EmailKind.PAUSED},
    {"kind": EmailKind.RESUMING},
    {"kind": EmailKind.PAUSE_MISSED},
    *(
        {"kind": EmailKind.CHANGED, "frequency": frequency} | date
        for frequency in (Frequency.MONTHLY, Frequency.ANNUAL)
        for date in ({}, {"event_date": None})
    ),
    *({"kind": EmailKind.RESUMED} | date for date in ({}, {"event_date": None})),
    {"kind": EmailKind.CANCELLED, "has_transfer_on_its_way": True, "money": None},
    *(
        {"kind": EmailKind.CANCELLED, "frequency": frequency, "is_unpaid": unpaid, "money": None}
        for frequency in Frequency
        for unpaid in (False, True)
    ),
    *(
        {"kind": kind, "frequency": None, "money": None, "event_date": None}
        for kind in (EmailKind.SIGN_IN, EmailKind.EMAIL_CHANGE, EmailKind.EMAIL_CHANGED)
    ),
]


def notification(**changes: Any) -> NotificationEmail:
    """Return the notification with these fields changed."""
    return dataclasses.replace(NOTIFICATION, **changes)
