"""`mainstay refunds`: list refunds, and withdraw one that is not made yet."""

import uuid

import click

from schemas.enums import RefundStatus
from service.commands.context import get_container, write_audit_log
from service.domain.money import Money, format_major_units
from service.domain.payments.refunds import RefundFilter, list_refunds, withdraw_refund


@click.group()
def refunds() -> None:
    """List refunds, and withdraw one that is not made yet."""


@refunds.command("list")
@click.option(
    "--status", type=click.Choice([status.value for status in RefundStatus]), help="Only refunds with this status."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many to show.")
def show_refunds(status: str | None, limit: int) -> None:
    """List refunds, newest first: time of the request, id, status, amount, and why it failed.

    A requested refund waits for Stripe to answer; mainstay refunds withdraw takes it back.
    """
    filters = RefundFilter(status=None if status is None else RefundStatus(status))
    with get_container().database.read_only() as session:
        found = list_refunds(session, filters, limit=limit, cursor=None).items
    for refund in found:
        amount = f"{format_major_units(Money(refund.amount_minor, refund.currency))} {refund.currency}"
        reason = f"  {refund.reason}" if refund.reason else ""
        click.echo(f"{refund.created_at:%Y-%m-%dT%H:%M:%SZ}  {refund.id}  {refund.status}  {amount}{reason}")
    if not found:
        click.echo(f"No refund is {status}." if status else "There are no refunds yet.", err=True)


@refunds.command("withdraw")
@click.argument("refund", metavar="ID", type=click.UUID)
def withdraw(refund: uuid.UUID) -> None:
    """Withdraw the requested refund with this ID, so that it is not made when Stripe answers."""
    container = get_container()
    with container.database.transaction() as session:
        write_audit_log(session, container, "withdraw_refund", {"refund": str(refund)})
    withdraw_refund(container.database.transaction, container.gateway, refund, clock=container.clock)
    click.echo("The refund is withdrawn.")
