"""The Flask app that serves the account, and the threaded server that runs it.

An API call passes authentication, routing, the fault planned before its effect, its idempotency key, the endpoint,
and the fault planned after its effect.
"""

import contextlib
import itertools
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import flask
from flask import Flask, g, request
from flask.typing import ResponseReturnValue
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.stripe_double import billing_routes, event_routes, hosted_pages, payment_routes
from tests.stripe_double.account import Account, StripeJson, to_json
from tests.stripe_double.customer_actions import CustomerActions
from tests.stripe_double.errors import StripeApiError
from tests.stripe_double.faults import Fault, FaultPlan, PlannedFault, apply_fault, error_response
from tests.stripe_double.form_params import read_form, read_params
from tests.stripe_double.idempotency import IdempotencyStore, Response
from tests.stripe_double.pagination import expand

HANG_SECONDS = 60


class ConnectionDropped(ConnectionError):  # werkzeug calls `connection_dropped` for a ConnectionError
    """The connection ends without a response."""


class StripeApp(Flask):
    """Serves one account: the API under `/v1/`, and Stripe's hosted pages, which call `actions`."""

    def __init__(
        self, account: Account, actions: CustomerActions, faults: FaultPlan, idempotency: IdempotencyStore
    ) -> None:
        super().__init__(__name__, static_folder=None)
        self.account, self.actions, self.faults, self.idempotency = account, actions, faults, idempotency
        self.closing = threading.Event()
        self._request_numbers = itertools.count(1)
        self.config["PROPAGATE_EXCEPTIONS"] = True
        self.url_map.merge_slashes = False
        for module in (payment_routes, billing_routes, event_routes, hosted_pages):
            self.register_blueprint(module.routes)
        self.before_request(self._authenticate)
        self.after_request(self._add_headers)
        self.register_error_handler(StripeApiError, lambda error: (error.body(), error.status))
        for status in (404, 405):
            self.register_error_handler(status, self._reject_url)

    def call(self, endpoint: Callable[..., StripeJson], params: type, ids: dict[str, str]) -> ResponseReturnValue:
        """Serve one API call; `params` is the SDK's type of its parameters, `ids` come from its path."""
        form = read_form(request.values.items(multi=True))
        planned = self.faults.next_for(f"{request.method} {request.url_rule}".replace("<", "{").replace(">", "}"))
        self._fail_before_effect(planned)

        def run() -> Response:
            with self.account.request_context({"id": g.request_id, "idempotency_key": g.idempotency_key}):
                self._block(planned, after_effect=False)
                response = self._execute(endpoint, params, form, ids)
                self._block(planned, after_effect=True)
            return apply_fault(response, planned, stored=True)

        try:
            response = self.idempotency.respond(g.idempotency_key, request.path, form, run)
        except StripeApiError as error:
            response = Response.from_error(error)
        self._fail_after_effect(planned)
        response = apply_fault(response, planned, stored=False)
        return response.body, response.status, response.headers

    def _authenticate(self) -> None:
        if not request.path.startswith("/v1/"):
            return
        g.request_id = f"req_{next(self._request_numbers):014}"
        g.idempotency_key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        authorization = request.authorization
        key = (authorization.token or authorization.username) if authorization else None
        if not key:
            raise StripeApiError("You did not provide an API key.", status=401)
        if key != self.account.key:
            raise StripeApiError(f"Invalid API Key provided: {key[:8]}****{key[-4:]}", status=401)

    def _add_headers(self, response: flask.Response) -> flask.Response:
        if "request_id" in g:
            response.headers["Request-Id"] = g.request_id
            response.headers["Stripe-Version"] = request.headers.get("Stripe-Version", self.account.api_version)
            if g.idempotency_key is not None:
                response.headers["Idempotency-Key"] = g.idempotency_key
            response.call_on_close(self.account.schedule_delivery)
        return response

    def _reject_url(self, _error: Exception) -> ResponseReturnValue:
        if not request.path.startswith("/v1/"):
            return hosted_pages.not_found()
        error = StripeApiError(f"Unrecognized request URL ({request.method}: {request.path}).", status=404)
        return error.body(), error.status

    def _execute(
        self, endpoint: Callable[..., StripeJson], params: type, form: dict[str, Any], ids: dict[str, str]
    ) -> Response:
        try:
            given = read_params(params, form)
            expanded = given.pop("expand", [])
            with self.account.lock:
                body = to_json(endpoint(self.account, given, *ids.values()))
                expand(self.account, body, expanded)
        except StripeApiError as error:
            return Response.from_error(error)
        return Response(200, body)

    def _fail_before_effect(self, planned: PlannedFault | None) -> None:
        if planned is not None and not planned.after_effect:
            if planned.kind is Fault.STATUS:
                raise error_response(planned)
            self._drop_connection(planned)

    def _fail_after_effect(self, planned: PlannedFault | None) -> None:
        if planned is not None and planned.after_effect:
            self._drop_connection(planned)

    def _drop_connection(self, planned: PlannedFault) -> None:
        if planned.kind not in (Fault.TIMEOUT, Fault.RESET):
            return
        self.account.schedule_delivery()
        if planned.kind is Fault.TIMEOUT:
            self._hang()
        raise ConnectionDropped

    def _block(self, planned: PlannedFault | None, *, after_effect: bool) -> None:
        if planned is not None and planned.kind is Fault.HOLD and planned.after_effect == after_effect:
            planned.barrier.reached.set()
            planned.barrier.released.wait(HANG_SECONDS)

    def _hang(self) -> None:
        """Wait until the client hangs up, or the server closes."""
        for _ in range(int(HANG_SECONDS / 0.05)):
            readable, _, _ = select.select([request.environ["werkzeug.socket"]], [], [], 0.05)
            if readable or self.closing.is_set():
                return


class RequestHandler(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def log_request(self, *_: object) -> None:
        """Write no access log."""

    def connection_dropped(self, _error: BaseException, _environ: dict[str, Any] | None = None) -> None:
        """Send a TCP reset: a socket that closes without lingering sends RST and not FIN."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class StripeServer:
    """Runs an app on the loopback interface, with a thread for each connection, until `close`."""

    def __init__(self, app: StripeApp, port: int) -> None:
        self._app = app
        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=RequestHandler)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; calls without a response lose their connection."""
        self._app.closing.set()
        self._server.shutdown()
        self._thread.join()
