"""Runs localstripe, an independent Stripe-like server, on the loopback interface and in memory.

Its own command line listens on every interface and stores its state in a file under /tmp; here it does neither. It
implements an older Stripe API than our SDK, and its state is global to the process. The differences as of 1.15:

* there are no Checkout Sessions, Prices, Billing Portal, disputes or webhook endpoints, and `Idempotency-Key` is
  ignored: the same key creates a second object;
* subscriptions have plans; the period belongs to the subscription, not to its items;
* an invoice has a `subscription` and a payment intent an `invoice`, where Stripe now has `parent` and invoice
  payments; `latest_charge` is the whole charge, also without expansion;
* an unknown id is a 404 of the type `invalid_request_error` without a code;
* events have no `previous_attributes` and the version 2017-08-15; refunds and renewals have no events, and time
  does not advance;
* a webhook is sent a second after its event, once, and signed with the time of the event.
"""

import asyncio
import inspect
import threading
import warnings
from collections.abc import Callable
from typing import Any, Self

import requests
from aiohttp import web
from localstripe.resources import Store, store
from stripe import StripeClient

with warnings.catch_warnings():
    # aiohttp deprecates plain functions as handlers, and some of its handlers are; `_as_coroutine` wraps them.
    warnings.simplefilter("ignore", DeprecationWarning)
    from localstripe import server, webhooks

KEY = "sk_test_localstripe"


class LocalStripe:
    """Runs while its context is open; one at a time in a process, because its state is global."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._dump_to_disk = Store.dump_to_disk

    def __enter__(self) -> Self:
        Store.dump_to_disk = lambda _: None
        self.reset()
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("localstripe did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        Store.dump_to_disk = self._dump_to_disk

    def reset(self) -> None:
        """Delete every object and webhook, and cancel the webhooks that are being sent."""
        webhooks._webhooks.clear()
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(_stop_sending(), self._loop).result(10)
        store.clear()

    @property
    def url(self) -> str:
        """Return the base URL, for `base_addresses={"api": …}`."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> StripeClient:
        """Return an SDK client of this server."""
        defaults: dict[str, Any] = {"base_addresses": {"api": self.url}, "max_network_retries": 0}
        return StripeClient(KEY, **defaults | options)

    def send_webhooks(self, url: str, secret: str, events: list[str] | None = None) -> None:
        """Send the events of these types, or all, to a URL, signed with this secret."""
        config = {"url": url, "secret": secret} | ({} if events is None else {"events": events})
        requests.post(f"{self.url}/_config/webhooks/tests", json=config, timeout=30).raise_for_status()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(_application(), access_log=None)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self.port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()


def _application() -> web.Application:
    """Return a new application with localstripe's routes, because an application belongs to one event loop.

    It leaves out the middleware that stores the state in a file.
    """
    application = web.Application(middlewares=[server.error_middleware, server.auth_middleware])
    for route in server.app.router.routes():
        if route.method != "HEAD" and route.resource is not None:
            application.router.add_route(route.method, route.resource.canonical, _as_coroutine(route.handler))
    return application


def _as_coroutine(handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    """Return an awaitable handler, also for a plain function."""

    async def handle(request: web.Request) -> web.StreamResponse:
        result = handler(request)
        response: web.StreamResponse = await result if inspect.isawaitable(result) else result
        return response

    return handle


async def _stop_sending() -> None:
    sending = [task for task in asyncio.all_tasks() if "_send_webhook" in repr(task.get_coro())]
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
