"""Refunds, and disputes by the cardholder's bank."""

import copy

from tests.stripe_double import payment_objects
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
    if charge["disputed"] and _has_open_or_lost_dispute(account, charge):
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


def open_dispute(account: Account, charge: StripeJson, amount: int | None, reason: str) -> StripeJson:
    """Open a dispute; its amount and a fee leave the balance at once."""
    dispute = payment_objects.new_dispute(account, charge, charge["amount"] if amount is None else amount, reason)
    before = copy.deepcopy(charge)
    charge["disputed"] = True
    account.emit_event("charge.updated", charge, before)
    account.emit_event("charge.dispute.created", dispute)
    before = copy.deepcopy(dispute)
    _adjust_balance(account, dispute, -1, "Dispute fee")
    account.emit_event("charge.dispute.funds_withdrawn", dispute, before)
    return dispute


def close_dispute(account: Account, dispute: StripeJson, outcome: str) -> None:
    """Close a dispute: `won` returns the amount and the fee, `lost` returns neither."""
    before = copy.deepcopy(dispute)
    dispute |= {"status": outcome, "is_charge_refundable": False}
    account.emit_event("charge.dispute.closed", dispute, before)
    if outcome == "won":
        before = copy.deepcopy(dispute)
        _adjust_balance(account, dispute, 1, "Dispute fee refund")
        account.emit_event("charge.dispute.funds_reinstated", dispute, before)


def _adjust_balance(account: Account, dispute: StripeJson, sign: int, fee_description: str) -> None:
    dispute["balance_transactions"].append(
        payment_objects.new_balance_transaction(
            account,
            dispute,
            amount=sign * dispute["amount"],
            fee=-sign * account.settings.dispute_fee,
            kind="adjustment",
            fee_description=fee_description,
        )
    )


def _has_open_or_lost_dispute(account: Account, charge: StripeJson) -> bool:
    disputes = [dispute for dispute in account.all("dispute") if dispute["charge"] == charge["id"]]
    return any(dispute["status"] != "won" for dispute in disputes)
