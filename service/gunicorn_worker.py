"""A gunicorn worker whose threads never wait for a client (ADR 34).

gunicorn's own threaded worker reads requests and writes responses in its threads, without a time limit, so a few
clients that stall occupy all of them. Here the worker's event loop reads each request, and writes what a client
does not take at once, both within time limits. A thread runs the application between the two.
"""

import contextlib
import contextvars
import errno
import functools
import http
import json
import resource
import secrets
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from gunicorn.http import errors, wsgi
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from service.gunicorn_connection import ClientDisconnected, Connection, Exchange, RequestBuffer, State
from service.settings import read_settings

STATUS_BY_ERROR = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}
DETAIL_BY_STATUS = {
    408: "The request did not arrive in time; please send it again.",
    500: "Something went wrong here.",
    503: "The service is unavailable right now; please try again soon.",
}
CODE_BY_STATUS = {408: "request_timeout", 500: "internal_error", 503: "unavailable"}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Liveness is answered by a thread of its own, also while all others wait for the database.
LIVENESS_REQUESTS = (b"GET /healthz ", b"HEAD /healthz ", b"GET /healthz?")

RECEIVE_BYTES = 64 * 1024
# RFC 9112, section 9.6: closing while the client still sends could destroy the response on its way.
LINGER_SECONDS = 2.0
SWEEP_SECONDS = 0.5
MAX_BUFFERED_BYTES = 128 * 1024 * 1024
# Besides the connections and a file for the large body of each: the database, logs, the mail server.
OTHER_FILES = 200

log = structlog.get_logger()


@dataclass(frozen=True)
class ClientLimits:
    """How long the worker waits for a client, in seconds.

    A request must arrive whole within `request`. While a client takes a response, it must take `bytes_per_window`
    or the rest within each `response` seconds of waiting for it.
    """

    request: float
    response: float
    keepalive: float

    @property
    def bytes_per_window(self) -> int:
        """What the slowest client takes in `response` seconds: 2 KiB a second."""
        return int(self.response * 2048)


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Reads and writes in its event loop, answers in threads, and reports errors as problems (RFC 9457)."""

    def init_process(self) -> None:
        """Prepare the worker; called once in its process, and runs it."""
        settings = read_settings()
        self.limits = ClientLimits(
            settings.request_timeout_seconds, settings.response_timeout_seconds, self.cfg.keepalive
        )
        self.worker_connections: int = _limit_connections(self.cfg.worker_connections)
        self.connections: dict[Connection, None] = {}
        self.liveness_pool = ThreadPoolExecutor(1)
        self.swept_at = 0.0
        super().init_process()

    # The event loop. gunicorn's `run` calls `accept`, and `murder_keepalived` once in each turn.

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; at the limit, drop the one that has been idle or incomplete for longest."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._drop_oldest()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        if len(self.connections) + 1 >= self.worker_connections:
            self._drop_oldest()
        connection = Connection(client, address, listener.getsockname(), opened_at=time.monotonic())
        self.connections[connection] = None
        self.nr_conns += 1
        self._await_request(connection, seconds=self.limits.request)
        # The request has often arrived already.
        self._read(connection, client)

    def murder_keepalived(self, force: bool = False) -> None:
        """Apply the time limits to all connections; with `force`, close those that wait for a client."""
        now = time.monotonic()
        if not force and now < self.swept_at + SWEEP_SECONDS:
            return
        self.swept_at = now
        buffered = 0
        for connection in list(self.connections):
            buffered += len(connection.buffer)
            if connection.state is State.RESPONDING:
                continue
            if force or buffered > MAX_BUFFERED_BYTES:
                self._close(connection)
            elif now >= connection.deadline:
                self._time_out(connection, now)

    def murder_pending(self) -> None:
        """Do nothing: gunicorn's list of silent connections is not used."""

    def _cap_keepalive(self, deadline: float) -> None:
        """Shorten the wait for further requests: the worker stops."""
        for connection in self.connections:
            if connection.state in (State.IDLE, State.LINGERING):
                connection.deadline = min(connection.deadline, deadline)

    def _await_request(self, connection: Connection, *, seconds: float) -> None:
        connection.since = time.monotonic()
        connection.deadline = connection.since + seconds
        if not self.alive:
            connection.deadline = min(connection.deadline, connection.since + STOP_KEEPALIVE_LINGER)
        self._watch(connection, State.IDLE, selectors.EVENT_READ, self._read)

    def _read(self, connection: Connection, _socket: object) -> None:
        """Read what has arrived."""
        try:
            data = connection.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        if data:
            self._feed(connection, data)
        elif connection.buffer.has_head:
            self._refuse(connection, 400)
        else:
            self._close(connection)

    def _feed(self, connection: Connection, data: bytes) -> None:
        """Add bytes to the request; pass it to a thread when it is complete."""
        if connection.state is State.IDLE:
            connection.since = time.monotonic()
            connection.deadline = connection.since + self.limits.request
            connection.state = State.READING
        buffer = connection.buffer
        try:
            connection.unread = buffer.feed(data)
        except OSError as error:
            log.exception("request_not_buffered", errno=error.errno)
            self._refuse(connection, 503)
            return
        if buffer.is_complete:
            connection.context = contextvars.copy_context()
            self._submit(connection)
            return
        if buffer.expects_continue:
            buffer.expects_continue = False
            with contextlib.suppress(ClientDisconnected):
                connection.outbox.sendall(CONTINUE)
        self._watch(connection, State.READING, selectors.EVENT_READ, self._read)

    def _submit(self, connection: Connection) -> None:
        """Let a thread begin or continue the response."""
        self._unwatch(connection)
        connection.state = State.RESPONDING
        pool = self.liveness_pool if connection.buffer.starts_with(*LIVENESS_REQUESTS) else self.tpool
        future: Future[None] = pool.submit(connection.context.run, self._respond, connection)
        future.add_done_callback(lambda done: self.method_queue.defer(self._continue, connection, done))

    def _continue(self, connection: Connection, done: "Future[None]") -> None:
        """Go on after a thread: the response is complete, or the client must take what is in the outbox."""
        if done.cancelled() or connection.is_cut_off:
            self._close(connection)
        elif connection.outbox:
            self._await_client(connection)
        else:
            self._finish(connection)

    def _await_client(self, connection: Connection) -> None:
        connection.since = time.monotonic()
        connection.deadline = connection.since + self.limits.response - connection.waited_seconds
        self._watch(connection, State.WRITING, selectors.EVENT_WRITE, self._write)

    def _write(self, connection: Connection, _socket: object) -> None:
        """Send more of what the client has not taken; then let a thread continue the response."""
        try:
            connection.taken_bytes += connection.outbox.flush()
        except ClientDisconnected:
            self._close(connection)
            return
        if connection.outbox:
            return
        connection.waited_seconds += time.monotonic() - connection.since
        if connection.exchange is not None:
            self._submit(connection)
        else:
            self._finish(connection)

    def _finish(self, connection: Connection) -> None:
        """Wait for the next request of a connection that is kept alive; close any other."""
        unread = connection.unread
        connection.buffer.close()
        connection.buffer, connection.unread = RequestBuffer(), b""
        connection.waited_seconds, connection.taken_bytes = 0.0, 0
        if connection.keeps_alive:
            self._await_request(connection, seconds=self.limits.keepalive)
            if unread:
                self._feed(connection, unread)
            return
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        connection.since = time.monotonic()
        connection.deadline = connection.since + LINGER_SECONDS
        self._watch(connection, State.LINGERING, selectors.EVENT_READ, self._drain)

    def _drain(self, connection: Connection, _socket: object) -> None:
        """Discard what a client sends after the last response, until it closes the connection."""
        try:
            if connection.socket.recv(RECEIVE_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(connection)

    def _refuse(self, connection: Connection, status: int) -> None:
        """Answer without the application."""
        connection.keeps_alive = False
        try:
            connection.outbox.sendall(_problem_response(status, secrets.token_hex(16)))
        except ClientDisconnected:
            self._close(connection)
            return
        if connection.outbox:
            self._await_client(connection)
        else:
            self._finish(connection)

    def _time_out(self, connection: Connection, now: float) -> None:
        if connection.state is State.READING:
            log.info("request_timed_out", seconds=self.limits.request, received_bytes=len(connection.buffer))
            self._refuse(connection, 408)
        elif connection.state is State.WRITING and connection.taken_bytes >= self.limits.bytes_per_window:
            connection.waited_seconds, connection.taken_bytes = 0.0, 0
            connection.since, connection.deadline = now, now + self.limits.response
        else:
            if connection.state is State.WRITING:
                log.info("response_timed_out", seconds=self.limits.response)
            self._close(connection)

    def _drop_oldest(self) -> None:
        waiting = (State.IDLE, State.READING, State.LINGERING)
        candidates = (connection for connection in self.connections if connection.state in waiting)
        oldest = min(candidates, key=lambda connection: connection.since, default=None)
        if oldest is not None:
            self._close(oldest)

    def _close(self, connection: Connection) -> None:
        """Close a connection; a response that is not complete is ended by a thread."""
        if connection not in self.connections:
            return
        del self.connections[connection]
        self.nr_conns -= 1
        self._unwatch(connection)
        connection.close()
        if connection.exchange is not None:
            self.tpool.submit(connection.context.run, _end_exchange, connection)

    def _watch(
        self, connection: Connection, state: State, event: int, callback: Callable[[Connection, object], None]
    ) -> None:
        if not (connection.is_watched and connection.state is state):
            self._unwatch(connection)
            self.poller.register(connection.socket, event, functools.partial(callback, connection))
        connection.state, connection.is_watched = state, True

    def _unwatch(self, connection: Connection) -> None:
        if connection.is_watched:
            self.poller.unregister(connection.socket)
            connection.is_watched = False

    # The threads.

    def _respond(self, connection: Connection) -> None:
        """Run the application until the response is complete, or until the client does not take more of it."""
        try:
            exchange = connection.exchange
            if exchange is None:
                exchange = connection.exchange = self._call_application(connection)
            for chunk in exchange.iterator:
                exchange.response.write(chunk)
                if connection.outbox:
                    return
            exchange.response.close()
            connection.keeps_alive = _can_be_reused(exchange)
        except (ClientDisconnected, errors.NoMoreData):
            connection.keeps_alive, connection.is_cut_off = False, True
        except Exception as error:  # noqa: BLE001 - whatever fails, this is the last place that can report it
            self._report_error(connection, error)
        _end_exchange(connection)

    def _call_application(self, connection: Connection) -> Exchange:
        if connection.buffer.has_oversized_head:
            raise errors.LimitRequestHeaders("all headers")
        parser = RequestParser(self.cfg, connection.buffer.rewind(), connection.address)
        request = next(parser)
        # The loop has sent it.
        request._expected_100_continue = False
        response, environ = wsgi.create(
            request, connection.outbox, connection.address, connection.server, self.cfg
        )
        environ["wsgi.multithread"] = True
        self.nr += 1
        if self.nr >= self.max_requests:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive or connection.buffer.is_truncated:
            response.force_close()
        chunks = self.wsgi(environ, response.start_response)
        return Exchange(parser, response, chunks, iter(chunks))

    def _report_error(self, connection: Connection, error: Exception) -> None:
        """Respond to a request that the application never received, or to an error that it did not handle."""
        connection.keeps_alive = False
        if connection.exchange is not None and connection.exchange.response.headers_sent:
            # Another response would look like a part of this one.
            log.error("response_cut_off", exc_info=error)
            connection.is_cut_off = True
            return
        request_id = secrets.token_hex(16)
        is_response_error = isinstance(error, errors.InvalidResponseHeader | errors.InvalidResponseHeaderName)
        if isinstance(error, errors.ParseException) and not is_response_error:
            status = STATUS_BY_ERROR.get(type(error), 400)
            log.info("unreadable_request", request_id=request_id, status=status, error_class=type(error).__name__)
        else:
            status = 500
            log.error("unexpected_error", request_id=request_id, exc_info=error)
        try:
            connection.outbox.sendall(_problem_response(status, request_id))
        except ClientDisconnected:
            connection.is_cut_off = True


def _can_be_reused(exchange: Exchange) -> bool:
    """Whether the connection can take another request: its parser has read exactly the bytes of this one."""
    if exchange.response.should_close():
        return False
    try:
        is_read = exchange.parser.finish_body() and not exchange.parser.unreader.read(1)
    except (errors.ParseException, errors.NoMoreData):
        return False
    return bool(is_read)


def _end_exchange(connection: Connection) -> None:
    """Close the application's response, which ends its database session; in a thread."""
    exchange, connection.exchange = connection.exchange, None
    close = getattr(exchange.chunks, "close", None) if exchange is not None else None
    if close is not None:
        try:
            close()
        except Exception:
            log.exception("response_not_closed")


def _limit_connections(wanted: int) -> int:
    """Raise the limit on open files as needed, and return how many connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Each connection may have a file for its request's body.
    needed = 2 * wanted + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(min(wanted, (allowed - OTHER_FILES) // 2), 10)


def _problem_response(status: int, request_id: str) -> bytes:
    title = http.HTTPStatus(status).phrase
    code = CODE_BY_STATUS.get(status, "unreadable_request")
    body = json.dumps(
        {
            "type": f"urn:mainstay:problem:{code}",
            "title": title,
            "status": status,
            "detail": DETAIL_BY_STATUS.get(status, "This could not be read as HTTP."),
            "code": code,
        }
    )
    head = (
        f"HTTP/1.1 {status} {title}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-Id: {request_id}",
        "X-Content-Type-Options: nosniff",
    )
    return "\r\n".join((*head, "", body)).encode("ascii")
