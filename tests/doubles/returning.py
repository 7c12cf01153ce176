"""Gives money back: refunds that staff make, and disputes that a cardholder's bank decides."""

import copy

from tests.doubles import money_shapes as shapes
from tests.doubles.account import Account, Thing
from tests.doubles.refusal import Refusal


def refund(
    account: Account,
    charge: Thing,
    amount: int | None,
    *,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Thing:
    """Refund a charge, the rest of it without an amount; Stripe keeps its fee."""
    rest = charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded":
        raise Refusal(f"Charge {charge['id']} has not been paid.", happened=True)
    if charge["disputed"] and open_dispute_of(account, charge):
        raise Refusal(f"Charge {charge['id']} has been charged back.", code="charge_disputed", happened=True)
    if rest == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise Refusal(message, code="charge_already_refunded", happened=True)
    amount = rest if amount is None else amount
    if not 0 < amount <= rest:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({rest})"
        raise Refusal(message, param="amount", happened=True)
    before = copy.deepcopy(charge)
    made = shapes.refund(account, charge, amount, reason=reason, metadata=metadata or {})
    entry = shapes.balance(account, made, amount=-amount, fee=0, kind="refund", why="REFUND FOR CHARGE")
    made["balance_transaction"] = entry["id"]
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    account.tell("refund.created", made)
    account.tell("charge.refunded", charge, before)
    return made


def fail_refund(account: Account, made: Thing) -> None:
    """Let the bank send a refund back, days after: the money is ours again."""
    charge = account.things[made["charge"]]
    before, charge_before = copy.deepcopy(made), copy.deepcopy(charge)
    entry = shapes.balance(
        account, made, amount=made["amount"], fee=0, kind="refund_failure", why="REFUND FAILURE"
    )
    made |= {
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": entry["id"],
    }
    charge["amount_refunded"] -= made["amount"]
    charge["refunded"] = False
    account.tell("refund.updated", made, before)
    account.tell("refund.failed", made)
    account.tell("charge.updated", charge, charge_before)


def open_dispute(account: Account, charge: Thing, amount: int | None, reason: str) -> Thing:
    """Let a cardholder contest a charge: the money and a fee leave the balance at once."""
    made = shapes.dispute(account, charge, charge["amount"] if amount is None else amount, reason)
    before = copy.deepcopy(charge)
    charge["disputed"] = True
    account.tell("charge.updated", charge, before)
    account.tell("charge.dispute.created", made)
    before = copy.deepcopy(made)
    made["balance_transactions"].append(
        shapes.balance(
            account,
            made,
            amount=-made["amount"],
            fee=account.terms.dispute_fee,
            kind="adjustment",
            why="Dispute fee",
        )
    )
    account.tell("charge.dispute.funds_withdrawn", made, before)
    return made


def close_dispute(account: Account, made: Thing, outcome: str) -> None:
    """Decide a dispute: `won` brings the money and the fee back, `lost` leaves both gone."""
    before = copy.deepcopy(made)
    made |= {"status": outcome, "is_charge_refundable": False}
    account.tell("charge.dispute.closed", made, before)
    if outcome == "won":
        before = copy.deepcopy(made)
        made["balance_transactions"].append(
            shapes.balance(
                account,
                made,
                amount=made["amount"],
                fee=-account.terms.dispute_fee,
                kind="adjustment",
                why="Dispute fee refund",
            )
        )
        account.tell("charge.dispute.funds_reinstated", made, before)


def open_dispute_of(account: Account, charge: Thing) -> Thing | None:
    """Return the dispute of this charge that is not decided, or that was lost."""
    found = [made for made in account.all("dispute") if made["charge"] == charge["id"] and made["status"] != "won"]
    return found[0] if found else None
