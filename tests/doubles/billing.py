"""Bills subscriptions: invoices, what a payment or a decline does to them, renewal and the end.

See Stripe's "How subscriptions work" and "Automate payment retries".
"""

import copy

from tests.doubles import billing_shapes, charging, invoice_shapes
from tests.doubles.account import Account, Thing
from tests.doubles.money_shapes import DAY
from tests.doubles.periods import period_end


def draft(account: Account, of: Thing, reason: str, intended: Thing | None = None) -> Thing:
    """Make and finalize the invoice of a subscription's current period, and its payment; return the invoice."""
    period = of["items"]["data"][0]
    made = invoice_shapes.invoice(
        account, of, reason, start=period["current_period_start"], end=period["current_period_end"]
    )
    account.tell("invoice.created", made)
    before = copy.deepcopy(made)
    made |= {
        "status": "open",
        "number": f"MAIN-{len(account.all('invoice')):04}",
        "effective_at": account.now(),
        "hosted_invoice_url": f"{account.base}/invoices/{made['id']}",
    }
    made["status_transitions"]["finalized_at"] = account.now()
    account.tell("invoice.finalized", made, before)
    if intended is None:
        what = "Subscription creation" if reason == "subscription_create" else "Subscription update"
        intended = charging.begin(
            account, made["amount_due"], made["currency"], customer=made["customer"], description=what
        )
    invoice_shapes.payment(account, made, intended)
    of["latest_invoice"] = made["id"]
    return made


def payment_of(account: Account, made: Thing) -> Thing:
    """Return the payment that belongs to an invoice."""
    return next(found for found in account.all("invoice_payment") if found["invoice"] == made["id"])


def intent_of(account: Account, made: Thing) -> Thing:
    """Return the intent by which an invoice is paid."""
    found: Thing = account.things[payment_of(account, made)["payment"]["payment_intent"]]
    return found


def mark_paid(account: Account, made: Thing) -> None:
    """Say that an invoice was paid, by a charge that is already told of."""
    before, paid = copy.deepcopy(made), payment_of(account, made)
    made |= {
        "status": "paid",
        "amount_paid": made["amount_due"],
        "amount_remaining": 0,
        "attempted": True,
        "attempt_count": made["attempt_count"] + 1,
        "auto_advance": False,
        "next_payment_attempt": None,
    }
    made["status_transitions"]["paid_at"] = account.now()
    paid |= {"status": "paid", "amount_paid": made["amount_due"]}
    paid["status_transitions"]["paid_at"] = account.now()
    account.tell("invoice.updated", made, before)
    account.tell("invoice.paid", made)
    account.tell("invoice.payment_succeeded", made)
    account.tell("invoice_payment.paid", paid)


def mark_unpaid(account: Account, of: Thing, made: Thing, *, tries_again: bool) -> None:
    """Say that an attempt failed: the subscription is past due, and Stripe tries again in some days or not."""
    before = copy.deepcopy(made)
    again = account.now() + account.terms.retry_days * DAY
    made |= {
        "attempted": True,
        "attempt_count": made["attempt_count"] + 1,
        "next_payment_attempt": again if tries_again else None,
    }
    account.tell("invoice.updated", made, before)
    account.tell("invoice.payment_failed", made)
    if of["status"] != "past_due":
        alter(account, of, status="past_due")


def alter(account: Account, of: Thing, **fields: object) -> None:
    """Change a subscription and tell of it."""
    before = copy.deepcopy(of)
    of |= fields
    account.tell("customer.subscription.updated", of, before)


def turn_period(account: Account, of: Thing) -> Thing:
    """Begin a subscription's next period now; return its open invoice."""
    before = copy.deepcopy(of)
    for bought in of["items"]["data"]:
        recurring, start = bought["price"]["recurring"], bought["current_period_end"]
        bought["current_period_start"] = start
        bought["current_period_end"] = period_end(
            of["billing_cycle_anchor"], start, recurring["interval"], recurring["interval_count"]
        )
    made = draft(account, of, "subscription_cycle")
    account.tell("customer.subscription.updated", of, before)
    return made


def announce(account: Account, of: Thing) -> None:
    """Tell that a subscription renews some days from now."""
    ends = of["items"]["data"][0]["current_period_end"]
    recurring = of["items"]["data"][0]["price"]["recurring"]
    later = period_end(of["billing_cycle_anchor"], ends, recurring["interval"], recurring["interval_count"])
    account.tell("invoice.upcoming", invoice_shapes.invoice(account, of, "upcoming", start=ends, end=later))


def end(account: Account, of: Thing, reason: str | None) -> None:
    """End a subscription now; what it still owes is not asked for any more."""
    of |= {"status": "canceled", "canceled_at": of["canceled_at"] or account.now(), "ended_at": account.now()}
    of["cancellation_details"]["reason"] = reason or of["cancellation_details"]["reason"]
    account.tell("customer.subscription.deleted", of)


def add_items(account: Account, of: Thing, bought: list[tuple[Thing, int]]) -> None:
    """Put prices into a subscription; the currency is that of the first."""
    for cost, quantity in bought:
        of["items"]["data"].append(billing_shapes.item(account, of, cost, quantity))
        of["currency"] = of["currency"] or cost["currency"]
