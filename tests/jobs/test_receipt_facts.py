"""The receipt in the email and the one on the reader's page state the same facts."""

import pytest
from sqlalchemy import select

from schemas.enums import EmailKind
from service.container import Container
from service.db.models.payment import Payment
from service.db.models.pledge import Pledge
from service.domain.notifications.receipts import load_receipt
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.notifications import enqueue, put_pledge, run


@pytest.mark.parametrize(
    ("amount_minor", "fees_minor", "knows_fees"), [(500, 0, False), (450, 50, True), (700, 50, False)]
)
def test_email_and_page_agree(container: Container, amount_minor: int, fees_minor: int, knows_fees: bool) -> None:
    pledge_id = put_pledge(container, amount_minor=amount_minor, fees_minor=fees_minor)
    # The payment of $5.00 was made before the amount was changed to $7.00.
    enqueue(container, EmailKind.RECEIPT, pledge_id=pledge_id)
    mailer = FakeMailer()
    run(container, mailer)
    [email] = mailer.sent
    with container.database.read_only() as session:
        payment, pledge = session.scalars(select(Payment)).one(), session.get_one(Pledge, pledge_id)
        receipt = load_receipt(session, payment, pledge)
    assert (email.receipt_number, email.money, email.event_date) == (receipt.number, receipt.paid, receipt.paid_on)
    assert (email.legal_name or email.campaign_name, email.tax_line) == (receipt.payee, receipt.tax_line)
    assert email.fees == receipt.fees
    assert (email.payment_number, email.method) == (receipt.payment_number, receipt.method)
    assert (receipt.fees is not None) == knows_fees
