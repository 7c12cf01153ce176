"""Reads a request as Stripe would: nested form keys, and only parameters that the SDK's own types name.

The types in `stripe.params` are generated from Stripe's published specification for the version that the SDK
speaks, so a parameter that they lack, a value of another type or a word outside a list of words is refused here
as it is there.
"""

import functools
import re
import sys
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from stripe import RequestOptions
from typing_extensions import is_typeddict

from tests.doubles.refusal import Refusal

# What the SDK keeps for itself of what a caller gives.
OPTIONS = frozenset(RequestOptions.__annotations__)

# Names that the SDK imports for type checkers only.
FOR_TYPE_CHECKERS = {"StripeContext": object, "Mapping": Mapping}


def read_form(body: str) -> dict[str, Any]:
    """Return `a[b][0][c]=1` as `{"a": {"b": [{"c": "1"}]}}`; every value is still text."""
    found: dict[str, Any] = {}
    for key, value in parse_qsl(body, keep_blank_values=True):
        first, *inner = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", key)
        place, name = found, first
        for step in inner:
            place = place.setdefault(name, {})
            name = step or str(len(place))
        place[name] = value
    return typing.cast("dict[str, Any]", _with_lists(found))


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(item) for name, item in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


@functools.cache
def _fields(params: type) -> dict[str, Any]:
    known = typing.get_type_hints(params, vars(sys.modules[params.__module__]), FOR_TYPE_CHECKERS)
    return {name: hint for name, hint in known.items() if name not in OPTIONS}


def read_params(params: type, given: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return what was given with numbers and truths read, or refuse it by the name of the parameter."""
    fields = _fields(params)

    def named(name: str) -> str:
        return f"{path}[{name}]" if path else name

    for name in given:
        if name not in fields:
            raise Refusal(
                f"Received unknown parameter: {named(name)}", code="parameter_unknown", param=named(name)
            )
    for name in sorted(params.__required_keys__ & fields.keys() - given.keys()):  # type: ignore[attr-defined]
        raise Refusal(f"Missing required param: {named(name)}.", code="parameter_missing", param=named(name))
    return {name: _fit(value, fields[name], named(name)) for name, value in given.items()}


def _fit(value: Any, hint: Any, name: str) -> Any:
    kinds = _alternatives(hint)
    words = [word for kind in kinds if typing.get_origin(kind) is typing.Literal for word in typing.get_args(kind)]
    if isinstance(value, dict):
        for kind in kinds:
            if is_typeddict(kind):
                return read_params(kind, value, name)
            if typing.get_origin(kind) is dict:
                return value
        raise Refusal(f"Invalid object: {name}", param=name)
    if isinstance(value, list):
        for kind in kinds:
            if typing.get_origin(kind) is list:
                inner = typing.get_args(kind)[0]
                return [_fit(item, inner, f"{name}[{index}]") for index, item in enumerate(value)]
        raise Refusal(f"Invalid string: {value}", param=name)
    if value in words:
        return value
    return _plain(value, kinds, words, name)


# The types of the SDK do not say that a subscription may give up its own card; Stripe's support does.
UNSET_ALL_THE_SAME = frozenset({"default_payment_method"})


def _plain(value: str, kinds: list[Any], words: list[str], name: str) -> Any:
    if value == "":
        if name in UNSET_ALL_THE_SAME:
            return value
        raise Refusal(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{name}' cannot be unset.",
            code="parameter_invalid_empty",
            param=name,
        )
    if bool in kinds and value in ("true", "false"):
        return value == "true"
    if int in kinds and re.fullmatch(r"-?\d+", value):
        return int(value)
    # A list of words is open in the types, for words to come; Stripe itself knows only today's.
    if known := [word for word in words if word]:
        raise Refusal(f"Invalid {name}: must be one of {', '.join(known)}", param=name)
    if {float, Decimal} & set(kinds):
        return Decimal(value)
    if str in kinds:
        return value
    what = "integer" if int in kinds else "boolean" if bool in kinds else "object"
    raise Refusal(f"Invalid {what}: {value}", code=f"parameter_invalid_{what}", param=name)


def _alternatives(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(hint) for kind in _alternatives(part)]
    return [hint]
