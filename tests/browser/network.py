"""Pause, fail or record the requests between a page and the service.

Playwright reports a request a moment after the page shows its effect, so a test waits for the record first.
"""

import json
from typing import Any, Self, TypeVar

from playwright.sync_api import Page, Request, Route

Json = TypeVar("Json")
CAMPAIGN = "**/v1/campaigns/*"
PLEDGES = "**/v1/pledges"
REMINDERS = "**/v1/reminders"
SUPPORT_SCRIPT = "**/static/support-page.js*"
CHECKOUT_PART = "**/widget/checkout-1.js*"
PLACEMENT_PART = "**/widget/placement-1.js*"
REMINDER_PART = "**/widget/reminder-1.js*"
# Another origin can read a response and its Retry-After header only with these.
CORS_HEADERS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}


class RecordedRequests(list[Json]):
    """The requests, messages or events that the browser has reported so far."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def wait_for(self, number: int) -> Self:
        """Wait until there are at least `number` items; return all of them."""
        for _ in range(300):
            if len(self) >= number:
                return self
            # Playwright dispatches events only while the test waits like this.
            self._page.wait_for_timeout(50)
        raise AssertionError(f"{len(self)} of {number} were recorded: {list(self)}")


class PausedRoute:
    """Requests that wait until the test resumes them."""

    def __init__(self, page: Page, url: str) -> None:
        self._routes: RecordedRequests[Route] = RecordedRequests(page)
        page.route(url, lambda route: self._routes.append(route))

    def wait_for_request(self) -> None:
        """Wait until a request is paused: the box shows that it is busy before it sends one."""
        self._routes.wait_for(1)

    def resume(self) -> None:
        """Wait for a request and let it continue."""
        self._routes.wait_for(1).pop(0).continue_()


def pause_requests(page: Page, url: str) -> PausedRoute:
    """Pause the requests to a URL pattern."""
    return PausedRoute(page, url)


def fail_requests(page: Page, url: str, status: int, *, retry_after: int | None = None, **problem: Any) -> None:
    """Answer the next request to a URL pattern with a problem."""
    retry_headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    response = {
        "status": status,
        "headers": retry_headers | CORS_HEADERS,
        "content_type": "application/problem+json",
        "body": json.dumps({"status": status} | problem),
    }
    page.route(url, lambda route: route.fulfill(**response), times=1)


def record_requests(page: Page, path: str) -> RecordedRequests[Request]:
    """Return a list that records every POST to this path."""
    requests: RecordedRequests[Request] = RecordedRequests(page)

    def record(request: Request) -> None:
        if request.method == "POST" and request.url.endswith(path):
            requests.append(request)

    page.on("request", record)
    return requests
