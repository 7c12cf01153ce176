"""A receipt as a page that prints well."""

from flask import Response

from service.domain.money import Money, format_money
from service.domain.notifications.receipts import receipt_number
from service.domain.pledges.queries import PaymentWithRefunds
from service.pages.own_place import PledgeContext
from service.pages.pledge_view import format_campaign_date
from service.pages.sheet import render_page


def render_receipt(context: PledgeContext, paid: PaymentWithRefunds) -> Response:
    """Return the receipt of one payment; the newsroom's legal name and tax line are the campaign's."""
    pledge, texts, payment = context.pledge, context.texts, paid.payment
    campaign = pledge.campaign

    def write(minor: int) -> str:
        return format_money(Money(minor, payment.currency), texts.lang)

    # Fees were covered of this payment only if it is what is charged today: the amount may have changed since.
    fees = pledge.fees_minor if payment.amount_minor == pledge.amount_minor + pledge.fees_minor else 0
    details = [
        (texts.me_receipt_number, receipt_number(payment.id, payment.paid_at.year)),
        (texts.me_receipt_to, campaign.legal_name or campaign.name),
        (texts.me_receipt_date, format_campaign_date(payment.paid_at, pledge, texts)),
    ]
    if fees:
        details += [
            (texts.me_receipt_gift, write(payment.amount_minor - fees)),
            (texts.me_receipt_fees, write(fees)),
        ]
    totals = [(texts.me_receipt_total, write(payment.amount_minor))]
    if paid.refunded_minor:
        totals += [
            (texts.me_receipt_refunded, write(paid.refunded_minor)),
            (texts.me_receipt_remains, write(payment.amount_minor - paid.refunded_minor)),
        ]
    response = render_page(
        "receipt.html",
        texts,
        campaign=campaign,
        facts=details,
        sums=totals,
        tax_line=campaign.tax_line,
        is_a_test=payment.gateway == "sandbox",
        home=context.return_url,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response
