"""Balance transactions of the Stripe account: list them by page, and find which invoices their charges paid.

See https://docs.stripe.com/reports/balance-transaction-types for the types, and
https://docs.stripe.com/api/invoice-payment for how Stripe links a charge to an invoice.
"""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stripe.params import BalanceTransactionListParams, InvoicePaymentListParams

from service.domain.ports import GatewayBalanceTransaction, GatewayRejected
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.currencies import from_stripe_amount
from service.gateways.stripe.event_fields import StripeJson, get_path, object_id
from service.gateways.stripe.payment_methods import payment_method_of
from service.gateways.stripe.payments import invoice_for_payment_intent

PAGE_SIZE: Final = 100
# An invoice's payment is created when the invoice is finalized, and charged soon after.
INVOICE_LEAD: Final = datetime.timedelta(hours=2)
REFUND_PREFIXES: Final = ("re_", "pyr_")
DISPUTE_PREFIXES: Final = ("du_", "dp_")
CHARGE_PREFIXES: Final = ("ch_", "py_")


def list_balance_transactions(
    api: StripeApiClient, since: datetime.datetime, until: datetime.datetime | None
) -> Iterator[list[GatewayBalanceTransaction]]:
    """Yield the transactions of charges, refunds and disputes by page, newest first; other kinds are left out.

    Raises:
        GatewayUnavailable: try again later.
    """
    created: Any = {"gte": int(since.timestamp())}
    if until is not None:
        created["lt"] = int(until.timestamp())
    params: BalanceTransactionListParams = {"created": created, "expand": ["data.source"], "limit": PAGE_SIZE}
    while True:
        page = api.call(
            "list_balance_transactions",
            lambda v1, params=params: v1.balance_transactions.list(params),  # type: ignore[misc]
        )
        found = [to_balance_transaction(transaction.to_dict(for_json=True)) for transaction in page.data]
        yield [transaction for transaction in found if transaction is not None]
        if not page.has_more or not page.data:
            return
        params = {**params, "starting_after": page.data[-1].id}


def to_balance_transaction(transaction: StripeJson) -> GatewayBalanceTransaction | None:
    """Return a transaction and what it belongs to; None if that is no charge, refund or dispute.

    `source` is the object in full, or its id, whose prefix tells what it is.
    """
    source, reference = transaction.get("source"), object_id(transaction.get("source"))
    if reference is None:
        return None
    kind = source.get("object") if isinstance(source, dict) else _kind_of_id(reference)
    fields: dict[str, str | None] = {"intent": object_id(get_path(source, "payment_intent"))}
    method = payment_method_of(source) if kind == "charge" and isinstance(source, dict) else None
    if kind == "charge":
        fields |= {
            "charge": reference,
            "invoice": object_id(get_path(source, "invoice")),
            "customer": object_id(get_path(source, "customer")),
        }
    elif kind in ("refund", "dispute"):
        fields |= {kind: reference, "charge": object_id(get_path(source, "charge"))}
    else:
        return None
    gross = from_stripe_amount(transaction["amount"], transaction["currency"])
    fee = from_stripe_amount(transaction["fee"], transaction["currency"])
    return GatewayBalanceTransaction(
        reference=transaction["id"],
        kind=str(transaction.get("type")),
        occurred_at=datetime.datetime.fromtimestamp(transaction["created"], datetime.UTC),
        gross_minor=gross.amount_minor,
        fee_minor=fee.amount_minor,
        # Calculated and not read, so that the three agree also after rounding to our minor units.
        net_minor=gross.amount_minor - fee.amount_minor,
        currency=gross.currency,
        method=method,
        **fields,
    )


def _kind_of_id(reference: str) -> str | None:
    for kind, prefixes in (
        ("charge", CHARGE_PREFIXES),
        ("refund", REFUND_PREFIXES),
        ("dispute", DISPUTE_PREFIXES),
    ):
        if reference.startswith(prefixes):
            return kind
    return None


def find_invoices(api: StripeApiClient, intents: Mapping[str, datetime.datetime]) -> dict[str, str]:
    """Return the invoice that each PaymentIntent paid, by the intent; `intents` says when each was charged.

    A PaymentIntent does not name its invoice, so the payments of the invoices of that time are listed. An invoice
    that is older, because its first attempt failed, is looked up by itself.

    Raises:
        GatewayUnavailable: try again later.
    """
    invoices = _list_invoices(api, intents) if len(intents) > 1 else {}
    for intent in intents:
        invoice = invoices.get(intent) or invoice_for_payment_intent(api, intent)
        if invoice is not None:
            invoices[intent] = invoice
    return invoices


def _list_invoices(api: StripeApiClient, intents: Mapping[str, datetime.datetime]) -> dict[str, str]:
    """Return what the listed payments of invoices tell, until a page of them tells nothing.

    Another product's invoices may fill the pages. Then looking up each of ours takes fewer calls.
    """
    found: dict[str, str] = {}
    first, last = min(intents.values()) - INVOICE_LEAD, max(intents.values())
    params: InvoicePaymentListParams = {
        "created": {"gte": int(first.timestamp()), "lte": int(last.timestamp())},
        "limit": PAGE_SIZE,
    }
    while True:
        before = len(found)
        try:
            page = api.call(
                "list_invoice_payments",
                lambda v1, params=params: v1.invoice_payments.list(params),  # type: ignore[misc]
            )
        except GatewayRejected:
            break
        for invoice_payment in page.data:
            data = invoice_payment.to_dict()
            intent = object_id(get_path(data, "payment", "payment_intent"))
            invoice = object_id(data.get("invoice"))
            if intent in intents and invoice is not None:
                found[str(intent)] = invoice
        if not page.has_more or len(found) in (before, len(intents)):
            break
        params = {**params, "starting_after": page.data[-1].id}
    return found
