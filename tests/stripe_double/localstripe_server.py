"""Runs localstripe, a Stripe-like server that none of us wrote, on the loopback interface and in memory.

Its own command line listens on every interface and keeps its state in a file under /tmp; neither happens here. It
speaks an older Stripe than our SDK does, and its state is that of the whole process. What differs, as of 1.15:

* there are no Checkout Sessions, Prices, Billing Portal, disputes or webhook endpoints, and `Idempotency-Key` is
  ignored: the same key makes a second object;
* subscriptions are on plans; their period is on the subscription, not on its items;
* an invoice names its `subscription` and a payment intent its `invoice`, where Stripe now has `parent` and invoice
  payments; `latest_charge` is the whole charge, also where nobody expanded it;
* an unknown id is a 404 of the type `invalid_request_error` without a code;
* events carry no `previous_attributes` and the version 2017-08-15; refunds and renewals have no events at all,
  and time does not pass;
* a webhook is posted a second after its event, once, signed with the event's own moment.
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
    # Some of its handlers are plain functions, which aiohttp deplores; ours below are wrapped.
    warnings.simplefilter("ignore", DeprecationWarning)
    from localstripe import server, webhooks

KEY = "sk_test_localstripe"


class LocalStripe:
    """Runs from `with` to its end; only one at a time in a process, since its state is the module's."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._saves = Store.dump_to_disk

    def __enter__(self) -> Self:
        Store.dump_to_disk = lambda _: None
        self.reset()
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("localstripe did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        Store.dump_to_disk = self._saves

    def reset(self) -> None:
        """Begin anew: no objects, no webhooks, and none still under way from before."""
        webhooks._webhooks.clear()
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(_stop_sending(), self._loop).result(10)
        store.clear()

    @property
    def url(self) -> str:
        """Return the base address, for `base_addresses={"api": …}`."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> StripeClient:
        """Return the SDK's client at this door."""
        defaults: dict[str, Any] = {"base_addresses": {"api": self.url}, "max_network_retries": 0}
        return StripeClient(KEY, **defaults | options)

    def send_webhooks(self, url: str, secret: str, events: list[str] | None = None) -> None:
        """Post the events of these types, or all, to an address, signed with this secret."""
        asked = {"url": url, "secret": secret} | ({} if events is None else {"events": events})
        requests.post(f"{self.url}/_config/webhooks/tests", json=asked, timeout=5).raise_for_status()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(_application(), access_log=None)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self.port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()
        waiting = asyncio.all_tasks(self._loop)
        for task in waiting:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()


def _application() -> web.Application:
    """Return localstripe's application as one of our own, since an application belongs to one loop for ever.

    Its middleware that saves the state to a file is left out.
    """
    application = web.Application(middlewares=[server.error_middleware, server.auth_middleware])
    for route in server.app.router.routes():
        if route.method != "HEAD" and route.resource is not None:
            application.router.add_route(route.method, route.resource.canonical, _awaited(route.handler))
    return application


def _awaited(serve: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
    """Return a handler that may be awaited, also of a plain function."""

    async def served(request: web.Request) -> web.StreamResponse:
        answer = serve(request)
        answered: web.StreamResponse = await answer if inspect.isawaitable(answer) else answer
        return answered

    return served


async def _stop_sending() -> None:
    sending = [task for task in asyncio.all_tasks() if "_send_webhook" in repr(task.get_coro())]
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
