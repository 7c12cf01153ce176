"""The receipt of a payment: what it says, to whom, and what came back of the payment."""

import datetime
import re
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from schemas.enums import DisputeStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.payment import Dispute, Payment, Refund
from service.domain.ports import PaymentMethod
from service.pages.receipts import format_payment_method
from service.pages.translations import Texts
from tests.pages.accounts import AccessPath, page
from tests.pages.html import visible_text

EARLIER = datetime.timedelta(hours=1)


def open_receipt(client: FlaskClient, access_path: AccessPath, lang: str = "en") -> str:
    [path] = re.findall(r'href="([^"]*/receipts/[^"?]*)', page(client, access_path.home))
    return page(client, f"{path}?lang={lang}")


def add_to_payment(container: Container, *rows: Refund | Dispute) -> uuid.UUID:
    """Store refunds and disputes of the only payment; return its id."""
    with container.database.transaction() as session:
        payment = session.scalars(select(Payment)).one()
        for row in rows:
            row.payment_id, row.currency = payment.id, payment.currency
            session.add(row)
        return payment.id


def refund(container: Container, amount: int, status: str = "succeeded", **changes: Any) -> Refund:
    row = {"id": new_id(), "status": status, "amount_minor": amount, "created_at": container.clock() - EARLIER}
    return Refund(**row | {"gateway_reference": str(new_id())} | changes)


def dispute(container: Container, amount: int, status: DisputeStatus, withheld: int) -> Dispute:
    return Dispute(
        id=new_id(),
        status=status,
        amount_minor=amount,
        withheld_minor=withheld,
        gateway_reference=str(new_id()),
        opened_at=container.clock() - EARLIER,
    )


def test_receipt_says_who_paid_whom_what_when_and_how(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    with container.database.transaction() as session:
        campaign = session.scalars(select(Campaign)).one()
        campaign.legal_name, campaign.tax_line = "Lantern Trust <Ltd>", "Not tax deductible."
        campaign.brand = {"postal_address": "1 Rope Street\nSaltmere"}
    payment_id = add_to_payment(container)
    html = open_receipt(client, access_path)
    text = visible_text(html)
    for expected in (
        "$2.00 USD November 23, 2026",
        f"Payment number {payment_id}",
        "Frequency Monthly",
        "Payment method Test card",
        "Paid to Lantern Trust <Ltd> 1 Rope Street Saltmere",
        "Total paid $2.00 USD",
        "Not tax deductible.",
    ):
        assert expected in text
    assert re.search(r"2026(-[0-9A-Z]{4}){3}", text)
    assert "Net amount" not in text
    assert "<Ltd>" not in html
    # The holder of the link may not be the reader.
    assert ("Paid by reader@example.org" in text) == (access_path.home == "/me")
    assert ("reader@" in html) == (access_path.home == "/me")


def test_name_at_the_start_of_the_address_is_not_repeated(
    container: Container, client: FlaskClient, access_path: AccessPath
) -> None:
    with container.database.transaction() as session:
        session.scalars(select(Campaign)).one().brand = {"postal_address": "The Harbour Lantern\n1 Rope Street"}
    assert "Paid to The Harbour Lantern 1 Rope Street" in visible_text(open_receipt(client, access_path))


def test_receipt_lists_what_came_back(container: Container, client: FlaskClient, access_path: AccessPath) -> None:
    add_to_payment(
        container,
        refund(container, 50),
        refund(container, 25, created_at=container.clock()),
        refund(container, 30, "pending"),
        refund(container, 40, "failed"),
        dispute(container, 100, DisputeStatus.LOST, 100),
    )
    text = visible_text(open_receipt(client, access_path))
    assert "Total paid $2.00 USD" in text
    assert text.count("Refunded on November 23, 2026") == 2
    assert "-$0.50 USD" in text
    assert "-$0.25 USD" in text
    assert "Returned by your bank after a dispute on November 23, 2026 -$1.00 USD" in text
    assert "Net amount $0.25 USD" in text
    assert "disputed this payment" not in text


@pytest.mark.parametrize(
    ("status", "withheld", "line", "net"),
    [
        (DisputeStatus.OPEN, 200, "Disputed on November 23, 2026, not yet decided -$2.00 USD", "$0.00 USD"),
        (DisputeStatus.INQUIRY, 0, "Disputed on November 23, 2026, not yet decided $0.00 USD", "$2.00 USD"),
        (DisputeStatus.WON, 0, "Disputed on November 23, 2026, now closed $0.00 USD", "$2.00 USD"),
    ],
)
def test_receipt_says_how_a_dispute_stands(
    container: Container,
    client: FlaskClient,
    access_path: AccessPath,
    status: DisputeStatus,
    withheld: int,
    line: str,
    net: str,
) -> None:
    add_to_payment(container, dispute(container, 200, status, withheld))
    text = visible_text(open_receipt(client, access_path))
    assert line in text
    assert f"Net amount {net}" in text
    is_undecided = status in (DisputeStatus.OPEN, DisputeStatus.INQUIRY)
    assert ("disputed this payment with your bank" in text) == is_undecided


def test_print_button_needs_scripts_and_the_hint_does_not(client: FlaskClient, access_path: AccessPath) -> None:
    html = open_receipt(client, access_path)
    assert re.search(r"<button[^>]* data-print hidden>", html)
    assert "Print this page" in visible_text(html)


def test_russian_receipt_has_russian_numbers(client: FlaskClient, access_path: AccessPath) -> None:
    assert "2,00 $ USD" in visible_text(open_receipt(client, access_path, "ru"))


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        (None, None),
        (PaymentMethod(kind="card", brand="visa", last4="4242"), "Visa ••4242"),
        (PaymentMethod(kind="card", brand="amex", last4="0005"), "American Express ••0005"),
        (PaymentMethod(kind="card", brand="newcards", last4="0005"), "Card ••0005"),
        (PaymentMethod(kind="card", brand="visa"), "Visa"),
        (PaymentMethod(kind="sepa_debit", last4="3000"), "SEPA debit ••3000"),
        (PaymentMethod(kind="us_bank_account", last4="6789"), "Bank account ••6789"),
        (PaymentMethod(kind="paypal"), "PayPal"),
        (PaymentMethod(kind="some_new_pay"), "Some new pay"),
    ],
)
def test_payment_method_is_named_as_readers_know_it(method: PaymentMethod | None, shown: str | None) -> None:
    assert format_payment_method(method, Texts("en", {})) == shown
