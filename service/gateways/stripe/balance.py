"""What a payment did to the balance at Stripe: the whole, Stripe's share, and what stays."""

from typing import Any

from service.domain.ports import GatewayBalanceTransaction
from service.gateways.stripe.client import StripeApiClient
from service.gateways.stripe.names import is_invoice, payment_for_invoice
from service.gateways.stripe.units import from_stripe_amount


def get_balance_transaction(api: StripeApiClient, payment_reference: str) -> GatewayBalanceTransaction | None:
    """Look up a payment's entry in the balance, in two calls at most; None if Stripe has not made it yet.

    Raises:
        GatewayUnavailable: try again later.
    """
    paid = {"payment_intent": payment_reference}
    if is_invoice(payment_reference):
        found = payment_for_invoice(api, payment_reference)
        if found is None:
            return None
        paid = found
    entry = _balance_transaction(_charge(api, paid))
    return None if entry is None else _to_domain(entry)


def _charge(api: StripeApiClient, paid: dict[str, str]) -> dict[str, Any] | None:
    if "charge" in paid:
        return api.retrieve(
            "look_at_charge",
            lambda v1: v1.charges.retrieve(paid["charge"], {"expand": ["balance_transaction"]}),
        )
    intent = api.retrieve(
        "look_at_intent",
        lambda v1: v1.payment_intents.retrieve(
            paid["payment_intent"], {"expand": ["latest_charge.balance_transaction"]}
        ),
    )
    charge = (intent or {}).get("latest_charge")
    return charge if isinstance(charge, dict) else None


def _balance_transaction(charge: dict[str, Any] | None) -> dict[str, Any] | None:
    entry = (charge or {}).get("balance_transaction")
    return entry if isinstance(entry, dict) else None


def _to_domain(entry: dict[str, Any]) -> GatewayBalanceTransaction:
    gross = from_stripe_amount(entry["amount"], entry["currency"])
    fee = from_stripe_amount(entry["fee"], entry["currency"])
    return GatewayBalanceTransaction(
        reference=entry["id"],
        gross_minor=gross.amount_minor,
        fee_minor=fee.amount_minor,
        # Not read but reckoned: the three agree in our units too.
        net_minor=gross.amount_minor - fee.amount_minor,
        currency=gross.currency,
    )
