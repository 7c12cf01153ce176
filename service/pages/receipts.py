"""The receipt of a payment, for the signed-in supporter, who may have it sent again, and by its pledge's link."""

import datetime
import uuid
from dataclasses import dataclass

from flask import Blueprint, Response, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import DisputeStatus
from schemas.payment_methods import describe_payment_method
from service.db.models.campaign import Campaign
from service.domain.errors import ReceiptNotDeliverable
from service.domain.money import Money, format_exact_money
from service.domain.notifications.receipt_delivery import send_receipt_again
from service.domain.notifications.receipts import DisputeFact, Receipt, load_receipt
from service.domain.pledges.queries import get_receipt_payment, pledge_id_for_payment
from service.domain.ports import PaymentMethod
from service.pages.account_context import NotSignedIn, PledgeContext, load_pledge_context
from service.pages.api_docs import http_status_for
from service.pages.csrf import reject_cross_site_requests
from service.pages.formatting import format_day
from service.pages.outcomes import outcome, outcome_url
from service.pages.rendering import render_page
from service.pages.translations import Texts
from service.web import check_receipt_rate_limit, current_container, read_only, transaction

receipts = Blueprint("receipts", __name__)
receipts.before_request(reject_cross_site_requests)
receipts.register_error_handler(NotSignedIn, lambda _: redirect("/me", 303))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a receipt, as text. A sum is set apart."""

    name: str
    value: str
    is_sum: bool = False


@receipts.get("/me/receipts/<uuid:payment_id>")
def show_receipt(payment_id: uuid.UUID) -> Response:
    """Show a receipt to the signed-in supporter who paid, with their address."""
    with read_only() as session:
        context = load_pledge_context(session, pledge_id_for_payment(session, payment_id), None)
        payment = get_receipt_payment(session, payment_id, context.pledge).payment
        supporter = context.pledge.supporter
        email = None if supporter is None else supporter.email
        is_sent = "sent" in outcome()
        return _render(
            context, load_receipt(session, payment, context.pledge), email, payment_id=payment_id, is_sent=is_sent
        )


@receipts.post("/me/receipts/<uuid:payment_id>/send")
def send_receipt(payment_id: uuid.UUID) -> BaseResponse:
    """Email a receipt again to the signed-in supporter who paid."""
    container = current_container()
    with read_only() as session:
        context = load_pledge_context(session, pledge_id_for_payment(session, payment_id), None)
        payment = get_receipt_payment(session, payment_id, context.pledge).payment
        receipt = load_receipt(session, payment, context.pledge)
        supporter = context.pledge.supporter
    if supporter is None:
        raise NotSignedIn
    check_receipt_rate_limit(supporter.id)
    try:
        with transaction() as session:
            send_receipt_again(
                session,
                payment_id,
                sandbox_recipients=container.settings.sandbox_recipients,
                lang=context.texts.lang,
                now=container.clock(),
            )
    except ReceiptNotDeliverable:
        return _render(context, receipt, supporter.email, payment_id=payment_id, is_undeliverable=True)
    return redirect(outcome_url(url_for(".show_receipt", payment_id=payment_id), {"sent": "yes"}), 303)


@receipts.get("/p/<token>/receipts/<uuid:payment_id>")
def show_receipt_by_link(token: str, payment_id: uuid.UUID) -> Response:
    """Show a receipt to the holder of its pledge's link. The page has no email address on it."""
    with read_only() as session:
        context = load_pledge_context(session, None, token)
        payment = get_receipt_payment(session, payment_id, context.pledge).payment
        return _render(context, load_receipt(session, payment, context.pledge), None)


def _render(
    context: PledgeContext,
    receipt: Receipt,
    email: str | None,
    *,
    payment_id: uuid.UUID | None = None,
    is_sent: bool = False,
    is_undeliverable: bool = False,
) -> Response:
    """Return the page; with a `payment_id` it has a button that emails the receipt again."""
    texts, campaign = context.texts, context.pledge.campaign
    response = render_page(
        "receipt.html",
        texts,
        status=http_status_for(ReceiptNotDeliverable("")) if is_undeliverable else 200,
        scripts=("pages.js",),
        send_url=payment_id and f"/me/receipts/{payment_id}/send",
        is_sent=is_sent,
        is_undeliverable=is_undeliverable,
        campaign=campaign,
        receipt=receipt,
        total=format_exact_money(receipt.paid, texts.lang),
        paid_on=format_day(receipt.paid_on, campaign, texts),
        sums=sum_rows(receipt, campaign, texts),
        details=_detail_rows(receipt, campaign, texts, email),
        is_disputed=any(fact.status in (DisputeStatus.OPEN, DisputeStatus.INQUIRY) for fact in receipt.disputes),
        return_url=context.return_url,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def sum_rows(receipt: Receipt, campaign: Campaign, texts: Texts) -> list[Row]:
    """Return what was paid, what went back and when, and what is left."""

    def row(name: str, amount: Money, day: datetime.date | None = None, *, is_sum: bool = False) -> Row:
        date = None if day is None else format_day(day, campaign, texts)
        shown = format_exact_money(amount, texts.lang)
        return Row(name=texts.format(name, date=date), value=shown, is_sum=is_sum)

    rows = []
    if receipt.fees is not None:
        without_fees = Money(receipt.paid.amount_minor - receipt.fees.amount_minor, receipt.paid.currency)
        rows += [row("me_receipt_gift", without_fees), row("me_receipt_fees", receipt.fees)]
    rows.append(row("me_receipt_total", receipt.paid, is_sum=True))
    rows += [row("me_receipt_refunded", _negative(fact.money), fact.refunded_on) for fact in receipt.refunds]
    rows += [row(_dispute_name(fact), _negative(fact.withheld), fact.opened_on) for fact in receipt.disputes]
    if receipt.refunds or receipt.disputes:
        rows.append(row("me_receipt_remains", receipt.net, is_sum=True))
    return rows


def _dispute_name(fact: DisputeFact) -> str:
    """Return the name of the text for a dispute: undecided, lost, or settled without a loss."""
    if fact.status in (DisputeStatus.OPEN, DisputeStatus.INQUIRY):
        return "me_receipt_disputed"
    return "me_receipt_dispute_lost" if fact.withheld.amount_minor else "me_receipt_dispute_closed"


def _negative(money: Money) -> Money:
    return Money(-money.amount_minor, money.currency)


def _detail_rows(receipt: Receipt, campaign: Campaign, texts: Texts, email: str | None) -> list[Row]:
    method = format_payment_method(receipt.method, texts)
    values = {
        "me_receipt_number": receipt.number,
        "me_receipt_payment_number": receipt.payment_number,
        "me_receipt_date": format_day(receipt.paid_on, campaign, texts),
        "me_receipt_frequency": texts[receipt.frequency],
        "me_receipt_email": email,
        "me_receipt_method": texts.me_receipt_method_test if receipt.is_test else method,
        "me_receipt_to": _payee_lines(receipt),
    }
    return [Row(name=texts[name], value=value) for name, value in values.items() if value]


def _payee_lines(receipt: Receipt) -> str:
    """Return the payee's name and postal address, which may begin with the name."""
    address = receipt.postal_address or ""
    return address if address.startswith(receipt.payee) else f"{receipt.payee}\n{address}".strip()


def format_payment_method(method: PaymentMethod | None, texts: Texts) -> str | None:
    """Return how a payment was made: "Visa ••4242", "SEPA debit ••3000", "PayPal"."""
    if method is None:
        return None
    return describe_payment_method(method.kind, method.brand, method.last4, texts)
