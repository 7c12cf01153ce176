"""Lists a page at a time, and puts whole objects where ids stand (`expand[]`).

See Stripe's "Pagination" and "Expanding responses".
"""

import copy
from collections.abc import Iterable
from typing import Any

from tests.doubles.account import Account, Thing, shown
from tests.doubles.refusal import Refusal

DEEPEST = 4


def page(account: Account, things: Iterable[Thing], params: dict[str, Any], url: str) -> Thing:
    """Return one page, newest first, after `starting_after` or before `ending_before`."""
    found = [thing for thing in things if _in_range(thing["created"], params.get("created"))]
    found.reverse()
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise Refusal("This value must be between 1 and 100.", code="parameter_invalid_integer", param="limit")
    ids = [thing["id"] for thing in found]
    if "ending_before" in params:
        before = found[: _place(ids, params["ending_before"], "ending_before")]
        chosen, more = before[-limit:], len(before) > limit
    else:
        start = _place(ids, params["starting_after"], "starting_after") + 1 if "starting_after" in params else 0
        chosen, more = found[start : start + limit], len(found) > start + limit
    return {"object": "list", "data": [shown(thing) for thing in chosen], "has_more": more, "url": url}


def _place(ids: list[str], sought: str, name: str) -> int:
    if sought not in ids:
        raise Refusal(f"No such object: '{sought}'", code="resource_missing", param=name)
    return ids.index(sought)


def _in_range(created: int, wanted: Any) -> bool:
    if wanted is None or isinstance(wanted, int):
        return wanted in (None, created)
    tests = {"gt": created.__gt__, "gte": created.__ge__, "lt": created.__lt__, "lte": created.__le__}
    return all(tests[name](value) for name, value in wanted.items())


def expand(account: Account, answer: Thing, paths: list[str]) -> None:
    """Put objects where ids stand in an answer, by Stripe's dotted paths; on a list they begin with `data.`."""
    for path in paths:
        steps = path.split(".")
        if len(steps) - (steps[0] == "data") > DEEPEST:
            raise Refusal(f"You cannot expand more than {DEEPEST} levels of a property", param="expand")
        _expand(account, answer, steps, path)


def _expand(account: Account, place: Any, steps: list[str], path: str) -> None:
    if isinstance(place, list):
        for item in place:
            _expand(account, item, steps, path)
        return
    if not steps or place is None:
        return
    name, *further = steps
    if name not in place:
        included = _included(account, place, name)
        if included is None:
            message = f"This property cannot be expanded ({path})."
            raise Refusal(message, code="property_unexpandable", param="expand")
        place[name] = included
    value = place[name]
    if isinstance(value, str):
        if value not in account.things:
            raise Refusal(f"This property cannot be expanded ({path}).", param="expand")
        place[name] = value = shown(account.things[value])
    _expand(account, value, further, path)


def _included(account: Account, place: Thing, name: str) -> Thing | None:
    """Return a list that an object has but shows only when it is asked for."""
    match place.get("object"), name:
        case "checkout.session", "line_items":
            found = [
                {
                    "id": f"li_{place['id'][-24:]}{index}",
                    "object": "item",
                    "amount_total": line["price"]["unit_amount"] * line["quantity"],
                    "currency": line["price"]["currency"],
                    "price": line["price"],
                    "quantity": line["quantity"],
                }
                for index, line in enumerate(account.things[place["id"]]["#lines"])
            ]
        case "charge", "refunds":
            found = [refund for refund in account.all("refund") if refund["charge"] == place["id"]]
        case "invoice", "payments":
            found = [paid for paid in account.all("invoice_payment") if paid["invoice"] == place["id"]]
        case _:
            return None
    return {"object": "list", "data": copy.deepcopy(found), "has_more": False, "url": ""}
