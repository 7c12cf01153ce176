"""Refunds, and how they fail."""

import copy

from tests.stripe_double import disputes, payment_objects
from tests.stripe_double.account import Account, StripeJson
from tests.stripe_double.errors import StripeApiError


def refund(
    account: Account,
    charge: StripeJson,
    amount: int | None,
    *,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
) -> StripeJson:
    """Refund an amount, or all that remains of a charge; Stripe keeps its fee.

    The refund of a bank debit is pending for some days, like any with `settings.pending_refunds`.
    """
    charge_id, remaining = charge["id"], charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded":
        raise StripeApiError(f"Charge {charge_id} has not been paid.", executed=True)
    if charge["disputed"] and not disputes.is_refundable(account, charge, amount or remaining):
        raise StripeApiError(f"Charge {charge_id} has been charged back.", code="charge_disputed", executed=True)
    if remaining == 0:
        message = f"Charge {charge_id} has already been refunded."
        raise StripeApiError(message, code="charge_already_refunded", executed=True)
    amount = remaining if amount is None else amount
    if not 0 < amount <= remaining:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({remaining})"
        raise StripeApiError(message, param="amount", executed=True)
    before = copy.deepcopy(charge)
    created = payment_objects.new_refund(account, charge, amount, reason=reason, metadata=metadata or {})
    transaction = payment_objects.new_balance_transaction(
        account,
        created,
        amount=-amount,
        fee=0,
        kind="payment_refund" if charge_id.startswith("py_") else "refund",
        fee_description="REFUND FOR CHARGE",
    )
    created["balance_transaction"] = transaction["id"]
    if account.settings.pending_refunds or charge["payment_method_details"]["type"] != "card":
        created |= {"status": "pending", "pending_reason": "processing"}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    account.emit_event("refund.created", created)
    account.emit_event("charge.refunded", charge, before)
    return created


def complete_refund(account: Account, pending: StripeJson) -> None:
    """Let a pending refund reach the reader."""
    before = copy.deepcopy(pending)
    pending["status"] = "succeeded"
    pending.pop("pending_reason", None)
    _emit_updated(account, pending, before)


def fail_refund(account: Account, failed: StripeJson, *, status: str = "failed") -> None:
    """Return a refund to the balance, as when the bank rejects it days later, or the refund is `canceled`."""
    charge = account.objects[failed["charge"]]
    before, charge_before = copy.deepcopy(failed), copy.deepcopy(charge)
    transaction = payment_objects.new_balance_transaction(
        account,
        failed,
        amount=failed["amount"],
        fee=0,
        kind="refund_failure",
        fee_description="REFUND FAILURE",
    )
    failed |= {
        "status": status,
        "failure_balance_transaction": transaction["id"],
    }
    failed.pop("pending_reason", None)
    if status == "failed":
        failed["failure_reason"] = "expired_or_canceled_card"
    charge["amount_refunded"] -= failed["amount"]
    charge["refunded"] = False
    _emit_updated(account, failed, before)
    if status == "failed":
        account.emit_event("refund.failed", failed)
    account.emit_event("charge.updated", charge, charge_before)


def _emit_updated(account: Account, refund: StripeJson, before: StripeJson) -> None:
    account.emit_event("refund.updated", refund, before)
    account.emit_event("charge.refund.updated", refund, before)
