"""Inquiries, disputes by the cardholder's bank, and early fraud warnings.

See Stripe's "How disputes work" and "The Dispute object". An inquiry moves no money until it escalates.
"""

import copy

from tests.stripe_double import payment_objects
from tests.stripe_double.account import Account, StripeJson

UNDECIDED = ("needs_response", "under_review")


def open_dispute(account: Account, charge: StripeJson, amount: int | None, reason: str) -> StripeJson:
    """Open a dispute; its amount and a fee leave the balance at once."""
    dispute = _new_dispute(account, charge, amount, reason, status="needs_response")
    _withdraw(account, dispute)
    return dispute


def open_inquiry(account: Account, charge: StripeJson, amount: int | None, reason: str) -> StripeJson:
    """Open an inquiry."""
    inquiry = _new_dispute(account, charge, amount, reason, status="warning_needs_response")
    inquiry["is_charge_refundable"] = True
    inquiry["payment_method_details"]["card"]["case_type"] = "inquiry"
    return inquiry


def escalate(account: Account, inquiry: StripeJson) -> None:
    """Turn an inquiry into a dispute; its amount and a fee leave the balance."""
    before = copy.deepcopy(inquiry)
    inquiry |= {"status": "needs_response", "is_charge_refundable": False}
    account.emit_event("charge.dispute.updated", inquiry, before)
    _withdraw(account, inquiry)


def review(account: Account, dispute: StripeJson) -> None:
    """Let the bank review the newsroom's evidence."""
    before = copy.deepcopy(dispute)
    dispute["status"] = "warning_under_review" if dispute["status"].startswith("warning_") else "under_review"
    account.emit_event("charge.dispute.updated", dispute, before)


def close_dispute(
    account: Account,
    dispute: StripeJson,
    outcome: str,
    *,
    amount: int | None = None,
    reinstated: int | None = None,
) -> None:
    """Close a dispute, or decide it again, as `won`, `lost`, `prevented` or `warning_closed`.

    `won` returns what was withdrawn with the fee, `lost` nothing, or an amount that is `reinstated` without the
    fee. `lost` after `won` withdraws it again. `amount` is another disputed amount.
    """
    before = copy.deepcopy(dispute)
    dispute |= {"status": outcome, "is_charge_refundable": outcome == "warning_closed"}
    dispute["amount"] = dispute["amount"] if amount is None else amount
    account.emit_event("charge.dispute.closed", dispute, before)
    missing = _withdrawn(dispute)
    if outcome == "lost" and not missing:
        _withdraw(account, dispute)
    elif outcome == "lost" and reinstated:
        _reinstate(account, dispute, reinstated, fee=0)
    elif outcome in ("won", "prevented") and missing:
        _reinstate(account, dispute, missing, fee=-account.settings.dispute_fee)


def warn_of_fraud(account: Account, charge: StripeJson, fraud_type: str) -> StripeJson:
    """Report an early fraud warning of the card's issuer; return it."""
    warning = account.store(
        {
            "id": account.new_id("issfr_1"),
            "object": "radar.early_fraud_warning",
            "actionable": not charge["refunded"] and not charge["disputed"],
            "charge": charge["id"],
            "created": account.now(),
            "fraud_type": fraud_type,
            "livemode": account.livemode,
            "payment_intent": charge["payment_intent"],
        }
    )
    account.emit_event("radar.early_fraud_warning.created", warning)
    return warning


def is_refundable(account: Account, charge: StripeJson, amount: int) -> bool:
    """Return whether disputes leave this amount of a charge to refund; not while a bank decides."""
    found = [dispute for dispute in account.all("dispute") if dispute["charge"] == charge["id"]]
    withdrawn = sum(_withdrawn(dispute) for dispute in found)
    is_undecided = any(dispute["status"] in UNDECIDED for dispute in found)
    return not is_undecided and withdrawn + charge["amount_refunded"] + amount <= charge["amount"]


def _new_dispute(
    account: Account, charge: StripeJson, amount: int | None, reason: str, *, status: str
) -> StripeJson:
    dispute = payment_objects.new_dispute(account, charge, charge["amount"] if amount is None else amount, reason)
    dispute["status"] = status
    before = copy.deepcopy(charge)
    charge["disputed"] = True
    account.emit_event("charge.updated", charge, before)
    account.emit_event("charge.dispute.created", dispute)
    return dispute


def _withdraw(account: Account, dispute: StripeJson) -> None:
    before = copy.deepcopy(dispute)
    _adjust_balance(account, dispute, -dispute["amount"], account.settings.dispute_fee, "Dispute fee")
    account.emit_event("charge.dispute.funds_withdrawn", dispute, before)


def _reinstate(account: Account, dispute: StripeJson, amount: int, *, fee: int) -> None:
    before = copy.deepcopy(dispute)
    _adjust_balance(account, dispute, amount, fee, "Dispute fee refund")
    account.emit_event("charge.dispute.funds_reinstated", dispute, before)


def _adjust_balance(account: Account, dispute: StripeJson, amount: int, fee: int, description: str) -> None:
    dispute["balance_transactions"].append(
        payment_objects.new_balance_transaction(
            account, dispute, amount=amount, fee=fee, kind="adjustment", fee_description=description
        )
    )
    dispute["#withdrawn"] = _withdrawn(dispute) - amount


def _withdrawn(dispute: StripeJson) -> int:
    """Return what was withdrawn and not returned, in the currency of the charge."""
    found: int = dispute.get("#withdrawn", 0)
    return found
