"""`mainstay receipts`: send the receipt of a payment again."""

import uuid

import click

from service.commands.context import get_container, write_audit_log
from service.domain.notifications.receipt_delivery import send_receipt_again


@click.group()
def receipts() -> None:
    """Send the receipt of a payment again."""


@receipts.command("send")
@click.argument("payment", metavar="PAYMENT_ID", type=click.UUID)
def send(payment: uuid.UUID) -> None:
    """Email the receipt of the payment with this id to its supporter again.

    The API lists the payments of a pledge, with their ids: GET /v1/admin/pledges/ID/payments.
    """
    container = get_container()
    with container.database.transaction() as session:
        write_audit_log(session, container, "send_receipt", {"payment": str(payment)})
    with container.database.transaction() as session:
        is_new = send_receipt_again(
            session, payment, sandbox_recipients=container.settings.sandbox_recipients, now=container.clock()
        )
    click.echo(
        "The receipt is in the outbox." if is_new else "The receipt was sent a moment ago, or is on its way."
    )
