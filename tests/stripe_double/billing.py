"""Bills subscriptions: invoices, their payment or failure, renewal and cancellation.

See Stripe's "How subscriptions work" and "Automate payment retries".
"""

import copy

from tests.stripe_double import billing_objects, charges
from tests.stripe_double.account import DAY, Account, StripeJson
from tests.stripe_double.billing_objects import period_end


def create_invoice(
    account: Account, subscription: StripeJson, reason: str, intent: StripeJson | None = None
) -> StripeJson:
    """Create and finalize the invoice of the current period, with its payment; return the invoice.

    The customer's balance is applied to it. One that this covers is paid without a payment.
    """
    period = subscription["items"]["data"][0]
    invoice = billing_objects.new_invoice(
        account, subscription, reason, start=period["current_period_start"], end=period["current_period_end"]
    )
    account.emit_event("invoice.created", invoice)
    before = copy.deepcopy(invoice)
    invoice |= {
        "status": "open",
        "number": f"MAIN-{len(account.all('invoice')):04}",
        "effective_at": account.now(),
        "hosted_invoice_url": f"{account.base_url}/invoices/{invoice['id']}",
    }
    invoice["status_transitions"]["finalized_at"] = account.now()
    _apply_balance(account, invoice)
    account.emit_event("invoice.finalized", invoice, before)
    subscription["latest_invoice"] = invoice["id"]
    if invoice["amount_due"] == 0:
        _mark_paid(account, invoice)
        return invoice
    if intent is None:
        description = "Subscription creation" if reason == "subscription_create" else "Subscription update"
        intent = charges.create_intent(
            account,
            invoice["amount_due"],
            invoice["currency"],
            customer=invoice["customer"],
            description=description,
        )
    billing_objects.new_invoice_payment(account, invoice, intent)
    return invoice


def _apply_balance(account: Account, invoice: StripeJson) -> None:
    customer = account.objects[invoice["customer"]]
    if not customer["balance"]:
        invoice["ending_balance"] = 0
        return
    before = copy.deepcopy(customer)
    invoice["ending_balance"] = customer["balance"] = min(customer["balance"] + invoice["total"], 0)
    account.emit_event("customer.updated", customer, before)


def payment_of(account: Account, invoice: StripeJson) -> StripeJson:
    return next(found for found in account.all("invoice_payment") if found["invoice"] == invoice["id"])


def intent_of(account: Account, invoice: StripeJson) -> StripeJson:
    found: StripeJson = account.objects[payment_of(account, invoice)["payment"]["payment_intent"]]
    return found


def mark_paid(account: Account, invoice: StripeJson) -> None:
    """Mark an invoice as paid by a charge whose events are already emitted."""
    payment = payment_of(account, invoice)
    payment |= {"status": "paid", "amount_paid": invoice["amount_due"]}
    payment["status_transitions"]["paid_at"] = account.now()
    _mark_paid(account, invoice)
    account.emit_event("invoice_payment.paid", payment)


def _mark_paid(account: Account, invoice: StripeJson) -> None:
    before = copy.deepcopy(invoice)
    invoice |= {
        "status": "paid",
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "attempted": True,
        "attempt_count": invoice["attempt_count"] + 1,
        "auto_advance": False,
        "next_payment_attempt": None,
    }
    invoice["status_transitions"]["paid_at"] = account.now()
    account.emit_event("invoice.updated", invoice, before)
    account.emit_event("invoice.paid", invoice)
    account.emit_event("invoice.payment_succeeded", invoice)


def mark_paid_outside(account: Account, invoice: StripeJson) -> None:
    """Mark an invoice as paid outside Stripe: nothing is charged, and its intent is canceled."""
    before, payment = copy.deepcopy(invoice), payment_of(account, invoice)
    invoice |= {
        "status": "paid",
        "amount_paid": invoice["amount_due"],
        "amount_paid_off_stripe": invoice["amount_due"],
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
    }
    invoice["status_transitions"]["paid_at"] = account.now()
    payment["status"] = "canceled"
    payment["status_transitions"]["canceled_at"] = account.now()
    account.objects[payment["payment"]["payment_intent"]]["status"] = "canceled"
    account.emit_event("invoice.updated", invoice, before)
    account.emit_event("invoice.paid", invoice)
    account.emit_event("invoice.payment_succeeded", invoice)


def mark_unpaid(
    account: Account, subscription: StripeJson, invoice: StripeJson, *, will_retry: bool, is_failure: bool = True
) -> None:
    """Record a failed payment attempt; the subscription is past due."""
    before = copy.deepcopy(invoice)
    next_attempt = account.now() + account.settings.retry_interval_days * DAY
    invoice |= {
        "attempted": True,
        "attempt_count": invoice["attempt_count"] + 1,
        "next_payment_attempt": next_attempt if will_retry else None,
    }
    account.emit_event("invoice.updated", invoice, before)
    if is_failure:
        account.emit_event("invoice.payment_failed", invoice)
    if subscription["status"] != "past_due":
        update(account, subscription, status="past_due")


def void(account: Account, invoice: StripeJson) -> None:
    """Void an invoice: nobody owes it any more."""
    before = copy.deepcopy(invoice)
    invoice |= {"status": "void", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = account.now()
    account.emit_event("invoice.updated", invoice, before)
    account.emit_event("invoice.voided", invoice)


def update(account: Account, subscription: StripeJson, **fields: object) -> None:
    before = copy.deepcopy(subscription)
    subscription |= fields
    account.emit_event("customer.subscription.updated", subscription, before)


def advance_period(account: Account, subscription: StripeJson) -> StripeJson:
    """Start the next period now; return its open invoice."""
    before = copy.deepcopy(subscription)
    for item in subscription["items"]["data"]:
        item["current_period_start"] = item["current_period_end"]
        item["current_period_end"] = _next_period_end(subscription, item)
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    invoice = create_invoice(account, subscription, "subscription_cycle")
    account.emit_event("customer.subscription.updated", subscription, before)
    return invoice


def start_trial(account: Account, subscription: StripeJson, trial_end: int) -> None:
    """Begin a trial now. Its end is the next day of payment, and anchors those after it."""
    _set_period(subscription, account.now(), trial_end)
    subscription |= {
        "status": "trialing",
        "trial_start": account.now(),
        "trial_end": trial_end,
        "billing_cycle_anchor": trial_end,
    }


def create_trial_invoice(account: Account, subscription: StripeJson) -> None:
    """Create the invoice of a trial: of nothing, and paid."""
    start, end = subscription["trial_start"], subscription["trial_end"]
    invoice = billing_objects.new_invoice(account, subscription, "subscription_update", start=start, end=end)
    invoice |= dict.fromkeys(("amount_due", "amount_remaining", "subtotal", "total"), 0)
    for line in invoice["lines"]["data"]:
        line |= {"amount": 0, "subtotal": 0}
    account.emit_event("invoice.created", invoice)
    before = copy.deepcopy(invoice)
    invoice |= {"status": "open", "effective_at": account.now()}
    account.emit_event("invoice.finalized", invoice, before)
    subscription["latest_invoice"] = invoice["id"]
    _mark_paid(account, invoice)


def restart_period(account: Account, subscription: StripeJson) -> None:
    """Start a period now, as Stripe does when the interval of a price changes."""
    subscription["billing_cycle_anchor"] = account.now()
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    end = period_end(account.now(), account.now(), recurring["interval"], recurring["interval_count"])
    _set_period(subscription, account.now(), end)


def _set_period(subscription: StripeJson, start: int, end: int) -> None:
    for item in subscription["items"]["data"]:
        item |= {"current_period_start": start, "current_period_end": end}


def emit_upcoming(account: Account, subscription: StripeJson) -> None:
    """Emit the preview of the next period's invoice."""
    item = subscription["items"]["data"][0]
    preview = billing_objects.new_invoice(
        account,
        subscription,
        "upcoming",
        start=item["current_period_end"],
        end=_next_period_end(subscription, item),
    )
    account.emit_event("invoice.upcoming", preview)


def cancel(account: Account, subscription: StripeJson, reason: str | None) -> None:
    """Cancel a subscription now; its open invoice is no longer collected."""
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or account.now(),
        "ended_at": account.now(),
    }
    details = subscription["cancellation_details"]
    details["reason"] = reason or details["reason"]
    account.emit_event("customer.subscription.deleted", subscription)


def add_items(account: Account, subscription: StripeJson, prices: list[tuple[StripeJson, int]]) -> None:
    """Add prices with quantities; the subscription has the currency of the first."""
    for price, quantity in prices:
        subscription["items"]["data"].append(billing_objects.new_item(account, subscription, price, quantity))
        subscription["currency"] = subscription["currency"] or price["currency"]


def _next_period_end(subscription: StripeJson, item: StripeJson) -> int:
    recurring = item["price"]["recurring"]
    return period_end(
        subscription["billing_cycle_anchor"],
        item["current_period_end"],
        recurring["interval"],
        recurring["interval_count"],
    )
