"""A receipt as a page that prints well."""

from flask import Response

from service.domain.money.amounts import Money, format_money
from service.domain.notices.receipts import receipt_number
from service.domain.pledges.own_gifts import PaymentWithRefunds
from service.pages.own_place import Place
from service.pages.pledge_view import say_day
from service.pages.sheet import sheet


def draw_receipt(place: Place, paid: PaymentWithRefunds) -> Response:
    """Return the receipt of one payment; the newsroom's legal name and tax line are the campaign's."""
    pledge, words, payment = place.pledge, place.words, paid.payment
    campaign = pledge.campaign

    def write(minor: int) -> str:
        return format_money(Money(minor, payment.currency), words.lang)

    # Fees were covered of this payment only if it is what is charged today: the amount may have changed since.
    fees = pledge.fees_minor if payment.amount_minor == pledge.amount_minor + pledge.fees_minor else 0
    facts = [
        (words.me_receipt_number, receipt_number(payment.id, payment.paid_at.year)),
        (words.me_receipt_to, campaign.legal_name or campaign.name),
        (words.me_receipt_date, say_day(payment.paid_at, pledge, words)),
    ]
    if fees:
        facts += [
            (words.me_receipt_gift, write(payment.amount_minor - fees)),
            (words.me_receipt_fees, write(fees)),
        ]
    sums = [(words.me_receipt_total, write(payment.amount_minor))]
    if paid.refunded_minor:
        sums += [
            (words.me_receipt_refunded, write(paid.refunded_minor)),
            (words.me_receipt_remains, write(payment.amount_minor - paid.refunded_minor)),
        ]
    response = sheet(
        "receipt.html",
        words,
        campaign=campaign,
        facts=facts,
        sums=sums,
        tax_line=campaign.tax_line,
        is_a_test=payment.gateway == "sandbox",
        home=place.home,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response
