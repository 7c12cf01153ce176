"""What the app tells its pages about its API, since pages do not import the API themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, current_app

from service.domain.errors import DomainError

EXTENSION = "mainstay_api"


@dataclass(frozen=True, kw_only=True)
class ApiMetadata:
    """The API's own tables: domain error → HTTP status, and HTTP status → code and sentence; and its OpenAPI."""

    statuses: Mapping[type[DomainError], int]
    codes: Mapping[int, tuple[str, str]]
    specification: Callable[[], dict[str, Any]]


def init_api_metadata(app: Flask, facts: ApiMetadata) -> None:
    """Give an app's pages the facts."""
    app.extensions[EXTENSION] = facts


def current_api_metadata() -> ApiMetadata:
    """Return the facts of the app that serves the current request."""
    return cast("ApiMetadata", current_app.extensions[EXTENSION])


def http_status_for(error: DomainError) -> int:
    """Return the HTTP status of a refusal: the same that the API answers with."""
    return current_api_metadata().statuses[type(error)]
