"""Charges payment intents and emits the events.

See Stripe's "Payment Intents: lifecycle" and "Asynchronous capture".
"""

import copy

from tests.stripe_double import payment_objects
from tests.stripe_double.account import Account, StripeJson

DECLINES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "generic_decline": "Your card was declined.",
    "expired_card": "Your card has expired.",
}


def create_intent(account: Account, amount: int, currency: str, **fields: object) -> StripeJson:
    intent = payment_objects.new_intent(account, amount, currency, **fields)  # type: ignore[arg-type]
    account.emit_event("payment_intent.created", intent)
    return intent


def charge(account: Account, intent: StripeJson, payment_method: StripeJson) -> StripeJson:
    """Charge a card successfully; return the charge."""
    charged = payment_objects.new_charge(account, intent, payment_method, "succeeded")
    charged["outcome"] = {"network_status": "approved_by_network", "type": "authorized", "reason": None}
    return _succeeded(account, intent, payment_method, charged)


def decline(account: Account, intent: StripeJson, payment_method: StripeJson, decline_code: str) -> StripeJson:
    """Decline a card; return the failed charge. The intent then requires another payment method."""
    failed = payment_objects.new_charge(account, intent, payment_method, "failed")
    return _failed(account, intent, failed, decline_code)


def start_debit(account: Account, intent: StripeJson, payment_method: StripeJson) -> StripeJson:
    """Start a bank debit, which takes days; return the pending charge."""
    before = copy.deepcopy(intent)
    pending = payment_objects.new_charge(account, intent, payment_method, "pending")
    intent |= {"status": "processing", "payment_method": payment_method["id"], "latest_charge": pending["id"]}
    account.emit_event("payment_intent.processing", intent, before)
    account.emit_event("charge.pending", pending)
    return pending


def complete_debit(account: Account, intent: StripeJson) -> StripeJson:
    """Complete a pending bank debit; return the charge."""
    pending = account.objects[intent["latest_charge"]]
    pending |= {"status": "succeeded", "paid": True, "captured": True}
    return _succeeded(account, intent, account.objects[pending["payment_method"]], pending)


def fail_debit(account: Account, intent: StripeJson) -> StripeJson:
    """Fail a pending bank debit; return the charge."""
    pending = account.objects[intent["latest_charge"]]
    pending["status"] = "failed"
    return _failed(account, intent, pending, "insufficient_funds")


def settle(account: Account, charged: StripeJson) -> None:
    """Add a charge less its fee to the balance."""
    settings = account.settings
    before = copy.deepcopy(charged)
    fee = (charged["amount"] * settings.fee_basis_points + 5000) // 10000 + settings.fee_fixed
    transaction = payment_objects.new_balance_transaction(
        account,
        charged,
        amount=charged["amount"],
        fee=fee,
        # A bank debit is a payment in Stripe's words, and its id says so.
        kind="payment" if charged["id"].startswith("py_") else "charge",
        fee_description="Stripe processing fees",
    )
    charged["balance_transaction"] = transaction["id"]
    account.emit_event("charge.updated", charged, before)


def _succeeded(
    account: Account, intent: StripeJson, payment_method: StripeJson, charged: StripeJson
) -> StripeJson:
    charged["receipt_url"] = f"{account.base_url}/receipts/{charged['id']}"
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charged["id"],
        "payment_method": payment_method["id"],
        "last_payment_error": None,
    }
    account.emit_event("charge.succeeded", charged)
    account.emit_event("payment_intent.succeeded", intent)
    if not account.settings.async_capture:
        settle(account, charged)
    return charged


def _failed(account: Account, intent: StripeJson, charged: StripeJson, decline_code: str) -> StripeJson:
    message = DECLINES[decline_code]
    charged |= {
        "amount_captured": 0,
        "failure_code": "card_declined",
        "failure_message": message,
        "outcome": {"network_status": "declined_by_network", "type": "issuer_declined", "reason": decline_code},
    }
    intent |= {
        "status": "requires_payment_method",
        "latest_charge": charged["id"],
        "payment_method": None,
        "last_payment_error": {
            "charge": charged["id"],
            "code": "card_declined",
            "decline_code": decline_code,
            "message": message,
            "type": "card_error",
        },
    }
    account.emit_event("charge.failed", charged)
    account.emit_event("payment_intent.payment_failed", intent)
    return charged
