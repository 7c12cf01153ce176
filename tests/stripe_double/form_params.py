"""Reads form parameters as Stripe does: nested keys, and only parameters that the SDK's types have.

The types in `stripe.params` are generated from Stripe's published specification for the API version of the SDK. A
parameter that they lack, a value of another type, and a value outside an enumeration are rejected, as by Stripe.
"""

import functools
import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from stripe import RequestOptions
from typing_extensions import is_typeddict

from tests.stripe_double.errors import StripeApiError

# Names that the SDK imports for type checkers only.
TYPE_CHECKING_NAMES = {"StripeContext": object, "Mapping": Mapping}
# Stripe's support says that a subscription can unset its own card, and its reference that a customer can unset
# what describes them; the types of the SDK do not.
NULLABLE_PARAMS = frozenset({"default_payment_method", "description", "email", "name", "phone"})
# Stripe's "Minimum and maximum charge amounts" of the currencies that the tests use, in minor units.
MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "cad": 50, "chf": 50, "sek": 300, "pln": 200, "huf": 17500}
MAXIMUM = 99_999_999
# Stripe's "Currencies": amounts with three decimals end with 0; amounts without decimals are sent with 00.
THREE_DECIMALS, NO_CENTS = {"bhd", "jod", "kwd", "omr", "tnd"}, {"isk", "ugx"}


def read_form(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return `a[b][0][c]=1` as `{"a": {"b": [{"c": "1"}]}}`; every value is text."""
    form: dict[str, Any] = {}
    for key, value in pairs:
        name, *nested = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", key)
        target = form
        for step in nested:
            target = target.setdefault(name, {})
            name = step or str(len(target))
        target[name] = value
    return typing.cast("dict[str, Any]", _with_lists(form))


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    nested = {name: _with_lists(item) for name, item in value.items()}
    if nested and all(name.isdigit() for name in nested):
        return [nested[name] for name in sorted(nested, key=int)]
    return nested


@functools.cache
def _fields(params: type) -> dict[str, Any]:
    hints = typing.get_type_hints(params, vars(sys.modules[params.__module__]), TYPE_CHECKING_NAMES)
    return {name: hint for name, hint in hints.items() if name not in RequestOptions.__annotations__}


def read_params(params: type, form: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return a form with its numbers and booleans parsed.

    Raises:
        StripeApiError: a parameter is unknown, missing or of another type; `param` names it.
    """
    fields = _fields(params)

    def full_name(name: str) -> str:
        return f"{path}[{name}]" if path else name

    for name in form:
        if name not in fields:
            message = f"Received unknown parameter: {full_name(name)}"
            raise StripeApiError(message, code="parameter_unknown", param=full_name(name))
    for name in sorted(params.__required_keys__ & fields.keys() - form.keys()):  # type: ignore[attr-defined]
        message = f"Missing required param: {full_name(name)}."
        raise StripeApiError(message, code="parameter_missing", param=full_name(name))
    return {name: _matches_type(value, fields[name], full_name(name)) for name, value in form.items()}


def _matches_type(value: Any, hint: Any, name: str) -> Any:
    kinds = _alternatives(hint)
    if isinstance(value, dict):
        for kind in kinds:
            if is_typeddict(kind):
                return read_params(kind, value, name)
            if typing.get_origin(kind) is dict:
                return value
        raise StripeApiError(f"Invalid object: {name}", param=name)
    if isinstance(value, list):
        for kind in kinds:
            if typing.get_origin(kind) is list:
                (item_hint,) = typing.get_args(kind)
                return [_matches_type(item, item_hint, f"{name}[{index}]") for index, item in enumerate(value)]
        raise StripeApiError(f"Invalid string: {value}", param=name)
    literals = [
        literal for kind in kinds if typing.get_origin(kind) is typing.Literal for literal in typing.get_args(kind)
    ]
    return value if value in literals else _unwrap(value, kinds, literals, name)


def _unwrap(value: str, kinds: list[Any], literals: list[str], name: str) -> Any:
    if value == "":
        if name in NULLABLE_PARAMS:
            return value
        raise StripeApiError(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{name}' cannot be unset.",
            code="parameter_invalid_empty",
            param=name,
        )
    if bool in kinds and value in ("true", "false"):
        return value == "true"
    if int in kinds and re.fullmatch(r"-?\d+", value):
        return int(value)
    # An enumeration is open in the types, for future values; Stripe itself accepts only today's.
    if known := [literal for literal in literals if literal]:
        raise StripeApiError(f"Invalid {name}: must be one of {', '.join(known)}", param=name)
    if {float, Decimal} & set(kinds):
        return Decimal(value)
    if str in kinds:
        return value
    expected = "integer" if int in kinds else "boolean" if bool in kinds else "object"
    raise StripeApiError(f"Invalid {expected}: {value}", code=f"parameter_invalid_{expected}", param=name)


def _alternatives(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(hint) for kind in _alternatives(part)]
    return [hint]


def check_metadata(metadata: dict[str, str]) -> None:
    """Reject more metadata than Stripe allows: 50 keys of 40 characters, values of 500."""
    if len(metadata) > 50:
        raise StripeApiError("Metadata can have up to 50 keys.", param="metadata")
    for name, value in metadata.items():
        if len(name) > 40 or len(value) > 500:
            message = f"Metadata values can have up to 500 characters: {name}"
            raise StripeApiError(message, param=f"metadata[{name}]")


def check_amount(price_data: dict[str, Any]) -> None:
    """Reject an amount that Stripe does not charge in its currency."""
    currency = price_data["currency"].lower()
    amount = int(price_data.get("unit_amount", price_data.get("unit_amount_decimal", 0)))
    minimum = MINIMUM.get(currency, 1)
    if amount < minimum:
        message = f"The Checkout Session's total amount must convert to at least {minimum} {currency}."
        raise StripeApiError(message, code="amount_too_small")
    if amount > MAXIMUM:
        raise StripeApiError("Amount must be no more than 999,999.99", code="amount_too_large")
    if (currency in THREE_DECIMALS and amount % 10) or (currency in NO_CENTS and amount % 100):
        raise StripeApiError(f"Invalid amount for {currency}: it must be evenly divisible.", param="unit_amount")
