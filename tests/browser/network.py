"""What goes between the page and the service: held back, refused or listened to.

Word of what a page does reaches the test a moment after the page shows it, so a test that looks at what was heard
waits for it first.
"""

import json
from typing import Any, Self, TypeVar

from playwright.sync_api import Page, Request, Route

Json = TypeVar("Json")
CAMPAIGN = "**/v1/campaigns/*"
PLEDGES = "**/v1/pledges"
REMINDERS = "**/v1/reminders"
# A page of another site may read an answer, and the time to wait, only with these.
READABLE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}


class RecordedRequests(list[Json]):
    """What the browser has told the test so far."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def wait_for(self, number: int) -> Self:
        """Wait until at least so many things were told; return them all."""
        for _ in range(300):
            if len(self) >= number:
                return self
            # Only while it waits like this does the test hear what the browser has to tell.
            self._page.wait_for_timeout(50)
        raise AssertionError(f"{len(self)} of {number} were told: {list(self)}")


class PausedRoute:
    """Requests that wait until the test lets them go."""

    def __init__(self, page: Page, address: str) -> None:
        self._routes: RecordedRequests[Route] = RecordedRequests(page)
        page.route(address, lambda route: self._routes.append(route))

    def resume(self) -> None:
        """Let the first request go on, as soon as there is one."""
        self._routes.wait_for(1).pop(0).continue_()


def pause_requests(page: Page, address: str) -> PausedRoute:
    """Let requests to an address wait, to be let go by the test."""
    return PausedRoute(page, address)


def fail_requests(
    page: Page, address: str, status: int, *, retry_after: int | None = None, **problem: Any
) -> None:
    """Answer the next request to an address with a problem instead of asking the service."""
    wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
    response = {
        "status": status,
        "headers": wait | READABLE,
        "content_type": "application/problem+json",
        "body": json.dumps({"status": status} | problem),
    }
    page.route(address, lambda route: route.fulfill(**response), times=1)


def record_requests(page: Page, path: str) -> RecordedRequests[Request]:
    """Return a list to which every POST to this path is added."""
    sent: RecordedRequests[Request] = RecordedRequests(page)

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith(path):
            sent.append(request)

    page.on("request", note)
    return sent
