"""What goes between the page and the service: held back, refused or listened to."""

import json
from typing import Any

from playwright.sync_api import Page, Request, Route

CAMPAIGN = "**/v1/campaigns/*"
PLEDGES = "**/v1/pledges"
REMINDERS = "**/v1/reminders"
# A page of another site may read an answer, and the time to wait, only with these.
READABLE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}


class Held:
    """Requests that wait until the test lets them go."""

    def __init__(self, page: Page, address: str) -> None:
        self._page = page
        self._routes: list[Route] = []
        page.route(address, lambda route: self._routes.append(route))

    def let_go(self) -> None:
        """Let the first request go on.

        The page may show that it has asked before word of the request has reached the test, so this waits for it.
        """
        for _ in range(200):
            if self._routes:
                self._routes.pop(0).continue_()
                return
            self._page.wait_for_timeout(50)
        raise AssertionError("No request came to be let go.")


def hold(page: Page, address: str) -> Held:
    """Let requests to an address wait, to be let go by the test."""
    return Held(page, address)


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
