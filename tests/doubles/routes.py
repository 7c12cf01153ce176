"""The endpoints of the double: what each is called, what it takes, and what it does.

A call is told to faults and counters by its name, `POST /v1/checkout/sessions/{id}/expire`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.doubles.account import Account, Thing
from tests.doubles.listing import page
from tests.doubles.refusal import Refusal

Endpoint = Callable[..., Thing]


@dataclass(frozen=True)
class Route:
    """One endpoint; `serve` takes the account, the parameters that were read, and the ids of the path."""

    name: str
    params: type
    serve: Endpoint

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the ids of a path of this endpoint, or None for another's."""
        own, template = self.name.split(" ")
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
        found = re.fullmatch(pattern, path) if method == own else None
        return None if found is None else found.groupdict()


def route_of(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the endpoint of a request and the ids of its path, or refuse as Stripe does."""
    for route in routes:
        ids = route.match(method, path)
        if ids is not None:
            return route, ids
    raise Refusal(f"Unrecognized request URL ({method}: {path}).", status=404)


def retrieves(url: str, kind: str, params: type) -> Route:
    """Return the endpoint that shows one object of a kind."""

    def serve(account: Account, _params: dict[str, Any], id: str) -> Thing:  # noqa: A002 - the path's own word
        return account.find(kind, id)

    return Route(f"GET {url}/{{id}}", params, serve)


def lists(url: str, kind: str, params: type, *, by: dict[str, str] | None = None) -> Route:
    """Return the endpoint that lists objects of a kind; `by` maps its filters to where an object says so."""
    filters = by or {}

    def serve(account: Account, asked: dict[str, Any]) -> Thing:
        found = account.all(kind)
        for name, place in filters.items():
            if name in asked:
                found = [thing for thing in found if _at(thing, place) == asked[name]]
        return page(account, found, asked, url)

    return Route(f"GET {url}", params, serve)


def _at(thing: Any, place: str) -> Any:
    for step in place.split("."):
        thing = None if thing is None else thing.get(step)
    return thing
