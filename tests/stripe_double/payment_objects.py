"""Payment objects as Stripe's API returns them: intents, charges, balance transactions, refunds, disputes.

Each function stores and returns a new object. The fields are those of the SDK's types for its API version that
matter to donations; a charge has neither its invoice nor its refunds.
"""

from tests.stripe_double.account import Account, StripeJson

DAY = 24 * 3600


def new_payment_method(
    account: Account, *, email: str | None, customer: str | None, kind: str = "card"
) -> StripeJson:
    """Return a card, or for the kind `us_bank_account` a bank account whose debits take days."""
    details: StripeJson = {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "last4": "4242"}
    if kind != "card":
        details = {"bank_name": "STRIPE TEST BANK", "last4": "6789"}
    return account.store(
        {
            "id": account.new_id("pm_1"),
            "object": "payment_method",
            "billing_details": {"address": None, "email": email, "name": None, "phone": None, "tax_id": None},
            kind: details,
            "created": account.now(),
            "customer": customer,
            "livemode": account.livemode,
            "metadata": {},
            "type": kind,
        }
    )


def new_intent(
    account: Account, amount: int, currency: str, *, customer: str | None, **fields: object
) -> StripeJson:
    """Return an intent without a payment method; `fields` are its metadata, description …"""
    intent_id = account.new_id("pi_3")
    return account.store(
        {
            "id": intent_id,
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
            "client_secret": f"{intent_id}_secret_{account.new_id('x', 12)[2:]}",
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


def new_charge(account: Account, intent: StripeJson, method: StripeJson, status: str) -> StripeJson:
    """Return one attempt to charge the amount of an intent."""
    kind = method["type"]
    return account.store(
        {
            "id": account.new_id("ch_3" if kind == "card" else "py_3"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": 0 if status == "failed" else intent["amount"],
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": dict(method["billing_details"]),
            "captured": status == "succeeded",
            "created": account.now(),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "fraud_details": {},
            "livemode": account.livemode,
            "metadata": dict(intent["metadata"]),
            "outcome": None,
            "paid": status == "succeeded",
            "payment_intent": intent["id"],
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


def new_balance_transaction(
    account: Account, source: StripeJson, *, amount: int, fee: int, kind: str, fee_description: str
) -> StripeJson:
    """Return a transaction in the payout currency; `amount` and `fee` are in the currency of the source."""
    currency, rate = account.settings.payout_currencies.get(source["currency"], (source["currency"], None))
    settled_amount, settled_fee = (round(value * rate) if rate else value for value in (amount, fee))
    fee_details = [
        {
            "amount": settled_fee,
            "application": None,
            "currency": currency,
            "description": fee_description,
            "type": "stripe_fee",
        }
    ]
    return account.store(
        {
            "id": account.new_id("txn_3"),
            "object": "balance_transaction",
            "amount": settled_amount,
            "available_on": account.now() + 2 * DAY,
            "balance_type": "payments",
            "created": account.now(),
            "currency": currency,
            "description": source.get("description"),
            "exchange_rate": rate,
            "fee": settled_fee,
            "fee_details": fee_details if settled_fee else [],
            "net": settled_amount - settled_fee,
            "reporting_category": _reporting_category(kind, amount),
            "source": source["id"],
            "status": "pending",
            "type": kind,
        }
    )


def _reporting_category(kind: str, amount: int) -> str:
    if kind == "adjustment":
        return "dispute" if amount < 0 else "dispute_reversal"
    return {"payment": "charge", "payment_refund": "refund"}.get(kind, kind)


def new_refund(
    account: Account, charge: StripeJson, amount: int, *, reason: str | None, metadata: dict[str, str]
) -> StripeJson:
    """Return a refund without a balance transaction."""
    return account.store(
        {
            "id": account.new_id("re_3"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "created": account.now(),
            "currency": charge["currency"],
            "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
            "metadata": metadata,
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "succeeded",
            "transfer_reversal": None,
        }
    )


def new_dispute(account: Account, charge: StripeJson, amount: int, reason: str) -> StripeJson:
    """Return a dispute that needs a response."""
    return account.store(
        {
            "id": account.new_id("du_1"),
            "object": "dispute",
            "amount": amount,
            "balance_transactions": [],
            "charge": charge["id"],
            "created": account.now(),
            "currency": charge["currency"],
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
            "payment_intent": charge["payment_intent"],
            "payment_method_details": {"card": {"brand": "visa", "case_type": "chargeback"}, "type": "card"},
            "reason": reason,
            "status": "needs_response",
        }
    )
