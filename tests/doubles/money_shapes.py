"""What money looks like in Stripe's API: intents, charges, what a charge leaves in the balance, refunds, disputes.

The fields are those of the SDK's types for its API version that a donation has to do with; a charge carries
neither its invoice nor its refunds.
"""

from tests.doubles.account import Account, Thing

DAY = 24 * 3600


def card(account: Account, *, email: str | None, customer: str | None, kind: str = "card") -> Thing:
    """Return a payment method: a card, or `us_bank_account` for a debit that takes days."""
    detail: Thing = {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "last4": "4242"}
    if kind != "card":
        detail = {"bank_name": "STRIPE TEST BANK", "last4": "6789"}
    return account.keep(
        {
            "id": account.new_id("pm_1"),
            "object": "payment_method",
            "billing_details": {"address": None, "email": email, "name": None, "phone": None, "tax_id": None},
            kind: detail,
            "created": account.now(),
            "customer": customer,
            "livemode": account.livemode,
            "metadata": {},
            "type": kind,
        }
    )


def intent(account: Account, amount: int, currency: str, *, customer: str | None, **fields: object) -> Thing:
    """Return a payment intent that waits for a payment method; `fields` are metadata, description …"""
    made = account.new_id("pi_3")
    return account.keep(
        {
            "id": made,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "application": None,
            "application_fee_amount": None,
            "automatic_payment_methods": None,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic_async",
            "client_secret": f"{made}_secret_{account.new_id('x', 12)[2:]}",
            "confirmation_method": "automatic",
            "created": account.now(),
            "currency": currency,
            "customer": customer,
            "description": None,
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": account.livemode,
            "metadata": {},
            "next_action": None,
            "payment_method": None,
            "payment_method_types": ["card"],
            "receipt_email": None,
            "setup_future_usage": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "requires_payment_method",
            **fields,
        }
    )


def charge(account: Account, intended: Thing, method: Thing, status: str) -> Thing:
    """Return a charge: one attempt to take what an intent asks for."""
    kind = method["type"]
    return account.keep(
        {
            "id": account.new_id("ch_3" if kind == "card" else "py_3"),
            "object": "charge",
            "amount": intended["amount"],
            "amount_captured": 0 if status == "failed" else intended["amount"],
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": dict(method["billing_details"]),
            "captured": status == "succeeded",
            "created": account.now(),
            "currency": intended["currency"],
            "customer": intended["customer"],
            "description": intended["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "fraud_details": {},
            "livemode": account.livemode,
            "metadata": dict(intended["metadata"]),
            "outcome": None,
            "paid": status == "succeeded",
            "payment_intent": intended["id"],
            "payment_method": method["id"],
            "payment_method_details": {kind: dict(method[kind]), "type": kind},
            "receipt_email": None,
            "receipt_number": None,
            "receipt_url": None,
            "refunded": False,
            "review": None,
            "status": status,
        }
    )


def balance(account: Account, source: Thing, *, amount: int, fee: int, kind: str, why: str) -> Thing:
    """Return a balance transaction in the currency of the payout; `amount` and `fee` are in that of the source."""
    currency, rate = account.terms.settles_in.get(source["currency"], (source["currency"], None))
    paid, kept = (round(value * rate) if rate else value for value in (amount, fee))
    details = [
        {"amount": kept, "application": None, "currency": currency, "description": why, "type": "stripe_fee"}
    ]
    return account.keep(
        {
            "id": account.new_id("txn_3"),
            "object": "balance_transaction",
            "amount": paid,
            "available_on": account.now() + 2 * DAY,
            "balance_type": "payments",
            "created": account.now(),
            "currency": currency,
            "description": source.get("description"),
            "exchange_rate": rate,
            "fee": kept,
            "fee_details": details if kept else [],
            "net": paid - kept,
            "reporting_category": "dispute" if kind == "adjustment" else kind,
            "source": source["id"],
            "status": "pending",
            "type": kind,
        }
    )


def refund(account: Account, of: Thing, amount: int, *, reason: str | None, metadata: dict[str, str]) -> Thing:
    """Return a refund of a charge, not yet in the balance."""
    return account.keep(
        {
            "id": account.new_id("re_3"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": None,
            "charge": of["id"],
            "created": account.now(),
            "currency": of["currency"],
            "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
            "metadata": metadata,
            "payment_intent": of["payment_intent"],
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "succeeded",
            "transfer_reversal": None,
        }
    )


def dispute(account: Account, of: Thing, amount: int, reason: str) -> Thing:
    """Return a dispute that a cardholder opened, which waits for our answer."""
    return account.keep(
        {
            "id": account.new_id("du_1"),
            "object": "dispute",
            "amount": amount,
            "balance_transactions": [],
            "charge": of["id"],
            "created": account.now(),
            "currency": of["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": {
                "due_by": account.now() + 9 * DAY,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
                "submission_method": "not_submitted",
            },
            "is_charge_refundable": False,
            "livemode": account.livemode,
            "metadata": {},
            "network_reason_code": "10.4",
            "payment_intent": of["payment_intent"],
            "payment_method_details": {"card": {"brand": "visa", "case_type": "chargeback"}, "type": "card"},
            "reason": reason,
            "status": "needs_response",
        }
    )
