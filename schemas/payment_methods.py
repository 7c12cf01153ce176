"""How a payment was made, in words: on the receipt's page and in its email."""

from collections.abc import Mapping

# The names of brands and methods are the same in every language.
METHOD_NAMES = {
    "acss_debit": "ACSS",
    "alipay": "Alipay",
    "amazon_pay": "Amazon Pay",
    "amex": "American Express",
    "au_becs_debit": "BECS Direct Debit",
    "bacs_debit": "Bacs Direct Debit",
    "bancontact": "Bancontact",
    "blik": "BLIK",
    "cartes_bancaires": "Cartes Bancaires",
    "cashapp": "Cash App Pay",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "eftpos",
    "eps": "EPS",
    "giropay": "giropay",
    "ideal": "iDEAL",
    "jcb": "JCB",
    "klarna": "Klarna",
    "link": "Link",
    "mastercard": "Mastercard",
    "mobilepay": "MobilePay",
    "p24": "Przelewy24",
    "paypal": "PayPal",
    "revolut_pay": "Revolut Pay",
    "sepa_debit": "SEPA debit",
    "sofort": "Sofort",
    "swish": "Swish",
    "twint": "TWINT",
    "unionpay": "UnionPay",
    "visa": "Visa",
    "wechat_pay": "WeChat Pay",
}
BANK_KINDS = ("us_bank_account", "customer_balance")


def describe_payment_method(kind: str, brand: str | None, last4: str | None, texts: Mapping[str, str]) -> str:
    """Return "Visa ••4242", "SEPA debit ••3000" or "PayPal"; `texts` are those of the account pages."""
    name = METHOD_NAMES.get(brand or "") or METHOD_NAMES.get(kind)
    if name is None and kind == "card":
        name = texts["me_receipt_method_card"]
    elif name is None and kind in BANK_KINDS:
        name = texts["me_receipt_method_bank"]
    name = name or kind.replace("_", " ").capitalize()
    return f"{name} ••{last4}" if last4 else name
