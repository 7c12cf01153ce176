"""Paginates lists, and expands ids to objects (`expand[]`).

See Stripe's "Pagination" and "Expanding responses".
"""

import copy
from collections.abc import Iterable
from typing import Any

from tests.stripe_double.account import Account, StripeJson, to_json
from tests.stripe_double.errors import StripeApiError

MAX_EXPAND_DEPTH = 4


def page(objects: Iterable[StripeJson], params: dict[str, Any], url: str) -> StripeJson:
    """Return one page, newest first, after `starting_after` or before `ending_before`."""
    found = [candidate for candidate in objects if _in_range(candidate["created"], params.get("created"))]
    found.reverse()
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        message = "This value must be between 1 and 100."
        raise StripeApiError(message, code="parameter_invalid_integer", param="limit")
    ids = [item["id"] for item in found]
    if "ending_before" in params:
        before = found[: _index_of(ids, params["ending_before"], "ending_before")]
        chosen, has_more = before[-limit:], len(before) > limit
    else:
        after = "starting_after" in params
        start = _index_of(ids, params["starting_after"], "starting_after") + 1 if after else 0
        chosen, has_more = found[start : start + limit], len(found) > start + limit
    return {"object": "list", "data": [to_json(item) for item in chosen], "has_more": has_more, "url": url}


def _index_of(ids: list[str], object_id: str, param: str) -> int:
    if object_id not in ids:
        raise StripeApiError(f"No such object: '{object_id}'", code="resource_missing", param=param)
    return ids.index(object_id)


def _in_range(created: int, wanted: Any) -> bool:
    if wanted is None or isinstance(wanted, int):
        return wanted in (None, created)
    tests = {"gt": created.__gt__, "gte": created.__ge__, "lt": created.__lt__, "lte": created.__le__}
    return all(tests[name](value) for name, value in wanted.items())


def expand(account: Account, body: StripeJson, paths: list[str]) -> None:
    """Replace ids by objects, by Stripe's dotted paths; in a list they start with `data.`."""
    for path in paths:
        steps = path.split(".")
        if len(steps) - (steps[0] == "data") > MAX_EXPAND_DEPTH:
            message = f"You cannot expand more than {MAX_EXPAND_DEPTH} levels of a property"
            raise StripeApiError(message, param="expand")
        _expand(account, body, steps, path)


def _expand(account: Account, target: Any, steps: list[str], path: str) -> None:
    if isinstance(target, list):
        for item in target:
            _expand(account, item, steps, path)
        return
    if not steps or target is None:
        return
    name, *rest = steps
    if name not in target:
        included = _includable_list(account, target, name)
        if included is None:
            message = f"This property cannot be expanded ({path})."
            raise StripeApiError(message, code="property_unexpandable", param="expand")
        target[name] = included
    value = target[name]
    if isinstance(value, str):
        if value not in account.objects:
            raise StripeApiError(f"This property cannot be expanded ({path}).", param="expand")
        target[name] = value = to_json(account.objects[value])
    _expand(account, value, rest, path)


def _includable_list(account: Account, target: StripeJson, name: str) -> StripeJson | None:
    """Return a list that is part of an object only if it is expanded."""
    match target.get("object"), name:
        case "checkout.session", "line_items":
            found = [
                {
                    "id": f"li_{target['id'][-24:]}{index}",
                    "object": "item",
                    "amount_total": line["price"]["unit_amount"] * line["quantity"],
                    "currency": line["price"]["currency"],
                    "price": line["price"],
                    "quantity": line["quantity"],
                }
                for index, line in enumerate(account.objects[target["id"]]["#lines"])
            ]
        case "charge", "refunds":
            found = [refund for refund in account.all("refund") if refund["charge"] == target["id"]]
        case "invoice", "payments":
            found = [payment for payment in account.all("invoice_payment") if payment["invoice"] == target["id"]]
        case _:
            return None
    return {"object": "list", "data": copy.deepcopy(found), "has_more": False, "url": ""}
