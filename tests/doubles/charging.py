"""Takes money: what happens to an intent and its charges, and the events that tell of it.

See Stripe's "Payment Intents: lifecycle" and "Asynchronous capture".
"""

import copy

from tests.doubles import money_shapes as shapes
from tests.doubles.account import Account, Thing

DECLINES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "generic_decline": "Your card was declined.",
    "expired_card": "Your card has expired.",
}


def begin(account: Account, amount: int, currency: str, **fields: object) -> Thing:
    """Make an intent and tell of it."""
    made = shapes.intent(account, amount, currency, **fields)  # type: ignore[arg-type]
    account.tell("payment_intent.created", made)
    return made


def take(account: Account, intended: Thing, method: Thing) -> Thing:
    """Charge a card that is good; return the charge."""
    charge = shapes.charge(account, intended, method, "succeeded")
    charge["outcome"] = {"network_status": "approved_by_network", "type": "authorized", "reason": None}
    return _taken(account, intended, method, charge)


def start_debit(account: Account, intended: Thing, method: Thing) -> Thing:
    """Ask a bank for the money, which takes days; return the pending charge."""
    before = copy.deepcopy(intended)
    charge = shapes.charge(account, intended, method, "pending")
    intended |= {"status": "processing", "payment_method": method["id"], "latest_charge": charge["id"]}
    account.tell("payment_intent.processing", intended, before)
    account.tell("charge.pending", charge)
    return charge


def finish_debit(account: Account, intended: Thing) -> Thing:
    """Let the bank pay what it was asked for; return the charge."""
    charge = account.things[intended["latest_charge"]]
    charge |= {"status": "succeeded", "paid": True, "captured": True}
    return _taken(account, intended, account.things[charge["payment_method"]], charge)


def refuse_debit(account: Account, intended: Thing) -> Thing:
    """Let the bank say no after days; return the failed charge."""
    charge = account.things[intended["latest_charge"]]
    charge["status"] = "failed"
    return _refused(account, intended, charge, "insufficient_funds")


def refuse(account: Account, intended: Thing, method: Thing, why: str) -> Thing:
    """Decline a card; return the failed charge. The intent waits for another card."""
    return _refused(account, intended, shapes.charge(account, intended, method, "failed"), why)


def settle(account: Account, charge: Thing) -> None:
    """Put a charge into the balance, less the fee, and tell that its balance transaction is known."""
    terms = account.terms
    before = copy.deepcopy(charge)
    fee = (charge["amount"] * terms.fee_basis_points + 5000) // 10000 + terms.fee_fixed
    entry = shapes.balance(
        account, charge, amount=charge["amount"], fee=fee, kind="charge", why="Stripe processing fees"
    )
    charge["balance_transaction"] = entry["id"]
    account.tell("charge.updated", charge, before)


def _taken(account: Account, intended: Thing, method: Thing, charge: Thing) -> Thing:
    charge["receipt_url"] = f"{account.base}/receipts/{charge['id']}"
    intended |= {
        "status": "succeeded",
        "amount_received": intended["amount"],
        "latest_charge": charge["id"],
        "payment_method": method["id"],
        "last_payment_error": None,
    }
    account.tell("charge.succeeded", charge)
    account.tell("payment_intent.succeeded", intended)
    if not account.terms.balance_is_late:
        settle(account, charge)
    return charge


def _refused(account: Account, intended: Thing, charge: Thing, why: str) -> Thing:
    message = DECLINES[why]
    charge |= {
        "amount_captured": 0,
        "failure_code": "card_declined",
        "failure_message": message,
        "outcome": {"network_status": "declined_by_network", "type": "issuer_declined", "reason": why},
    }
    intended |= {
        "status": "requires_payment_method",
        "latest_charge": charge["id"],
        "payment_method": None,
        "last_payment_error": {
            "charge": charge["id"],
            "code": "card_declined",
            "decline_code": why,
            "message": message,
            "type": "card_error",
        },
    }
    account.tell("charge.failed", charge)
    account.tell("payment_intent.payment_failed", intended)
    return charge
