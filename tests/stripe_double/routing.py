"""Declares API endpoints, functions of the account, the parameters of the SDK's type, and the ids of the path."""

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from tests.stripe_double.account import Account, StripeJson
from tests.stripe_double.pagination import page

Endpoint = Callable[..., StripeJson]


def accepts(params: type) -> Callable[[Endpoint], Callable[..., ResponseReturnValue]]:
    """Make a Flask view of an endpoint that takes these parameters."""

    def decorate(endpoint: Endpoint) -> Callable[..., ResponseReturnValue]:
        @functools.wraps(endpoint)
        def view(**ids: str) -> ResponseReturnValue:
            response: ResponseReturnValue = current_app.call(endpoint, params, ids)  # type: ignore[attr-defined]
            return response

        return view

    return decorate


def retrieve_route(routes: Blueprint, url: str, kind: str, params: type) -> None:
    """Add the endpoint that returns one object of a kind."""

    @accepts(params)
    def retrieve(account: Account, _params: dict[str, Any], object_id: str) -> StripeJson:
        return account.find(kind, object_id)

    routes.add_url_rule(f"{url}/<id>", f"retrieve {kind}".replace(".", " "), retrieve)


def list_route(
    routes: Blueprint, url: str, kind: str, params: type, *, filters: dict[str, str] | None = None
) -> None:
    """Add the endpoint that lists objects of a kind; `filters` maps a parameter to a dotted path in an object."""

    @accepts(params)
    def list_objects(account: Account, given: dict[str, Any]) -> StripeJson:
        found = account.all(kind)
        for name, path in (filters or {}).items():
            if name in given:
                found = [candidate for candidate in found if _get_path(candidate, path) == given[name]]
        return page(found, given, f"{routes.url_prefix}{url}")

    routes.add_url_rule(url, f"list {kind}".replace(".", " "), list_objects)


def _get_path(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = None if value is None else value.get(name)
    return value
