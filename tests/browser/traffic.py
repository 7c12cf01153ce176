"""What goes between the page and the service: held back, refused or listened to."""

import json
from typing import Any

from playwright.sync_api import Page, Request, Route

CAMPAIGN = "**/v1/campaigns/*"
PLEDGES = "**/v1/pledges"
REMINDERS = "**/v1/reminders"
# A page of another site may read an answer, and the time to wait, only with these.
READABLE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}


def hold(page: Page, address: str) -> list[Route]:
    """Let requests to an address wait; the list holds those that came, to be let go by the test."""
    held: list[Route] = []
    page.route(address, lambda route: held.append(route))
    return held


def refuse(page: Page, address: str, status: int, *, retry_after: int | None = None, **problem: Any) -> None:
    """Answer the next request to an address with a problem instead of asking the service."""
    wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
    answer = {
        "status": status,
        "headers": wait | READABLE,
        "content_type": "application/problem+json",
        "body": json.dumps({"status": status} | problem),
    }
    page.route(address, lambda route: route.fulfill(**answer), times=1)


def listen(page: Page, path: str) -> list[Request]:
    """Return a list to which every POST to this path is added."""
    sent: list[Request] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith(path):
            sent.append(request)

    page.on("request", note)
    return sent
