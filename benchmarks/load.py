"""Generates load from a process of its own: a few readers who send a request as soon as the last was answered.

It shares the machine with the server that it measures, so it does no more than check every response: one thread,
raw sockets that are reused, and requests that are built before the clock starts.
"""

import argparse
import json
import selectors
import socket
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field

CONNECTIONS = 16
# A connection that stayed open for a whole round would bind its reader to one of the server's two processes, and
# the figure would depend on how evenly sixteen readers were spread over them.
REQUESTS_PER_CONNECTION = 100
TIMEOUT_SECONDS = 30
# This part of a request is replaced by the number of the reader.
READER_NUMBER = b"000000000000"


@dataclass
class LoadResult:
    """The result of one round. `responses` counts successes within the measured time, `stored` all successes."""

    seconds: float = 0
    responses: int = 0
    stored: int = 0
    errors: int = 0
    p50_ms: float = 0
    p95_ms: float = 0
    first_error: str = ""


@dataclass
class Connection:
    """One reader's connection; `received` is the response so far, `sent_at` when the request was sent."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    sent_at: float = 0
    completed: int = 0


def generate_load(
    port: int, request: bytes, *, expected: int, seconds: float, warm_up: float, connections: int = CONNECTIONS
) -> LoadResult:
    """Send `request` repeatedly, with a new reader number each time.

    Responses within the first `warm_up` seconds are checked but not measured. No connection is closed before its
    response has arrived, so that `stored` equals the rows in the database afterwards.
    """
    head, marker, tail = request.partition(READER_NUMBER)
    success = b"HTTP/1.1 %d " % expected
    result, latencies, reader_number = LoadResult(), [], 0
    with selectors.DefaultSelector() as selector:

        def connect() -> Connection:
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client)
            selector.register(client, selectors.EVENT_READ, connection)
            return connection

        def close(connection: Connection) -> None:
            selector.unregister(connection.socket)
            connection.socket.close()

        for _ in range(connections):
            connect()
        begin = time.perf_counter()
        count_from, stop_at = begin + warm_up, begin + warm_up + seconds

        def send(connection: Connection) -> None:
            nonlocal reader_number
            reader_number += 1
            connection.sent_at = time.perf_counter()
            connection.socket.sendall(head + b"%012d" % reader_number + tail if marker else head)

        def fail(connection: Connection, error: str) -> None:
            result.errors += 1
            result.first_error = result.first_error or error
            close(connection)

        for key in list(selector.get_map().values()):
            send(key.data)
        while selector.get_map():
            ready = selector.select(timeout=1)
            now = time.perf_counter()
            if now > stop_at + TIMEOUT_SECONDS:
                result.errors += len(selector.get_map())
                result.first_error = result.first_error or "no response"
                break
            for key, _ in ready:
                connection = key.data
                try:
                    data = connection.socket.recv(65536)
                except OSError as error:
                    fail(connection, str(error))
                    continue
                connection.received += data
                if not data:
                    fail(connection, "the server closed the connection")
                    continue
                if not _complete(connection.received):
                    continue
                if not connection.received.startswith(success):
                    fail(connection, connection.received[:300].decode("latin-1"))
                    continue
                result.stored += 1
                if count_from <= now < stop_at:
                    result.responses += 1
                    latencies.append(now - connection.sent_at)
                connection.received.clear()
                connection.completed += 1
                if now >= stop_at:
                    close(connection)
                elif connection.completed < REQUESTS_PER_CONNECTION:
                    send(connection)
                else:
                    close(connection)
                    send(connect())
    result.seconds = seconds
    if len(latencies) > 1:
        cuts = statistics.quantiles(latencies, n=20)
        result.p50_ms, result.p95_ms = cuts[9] * 1000, cuts[18] * 1000
    return result


def _complete(received: bytearray) -> bool:
    """Whether this is a whole response; every measured server sends Content-Length."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = received[:end].lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return len(received) >= end + 4 + int(length or 0)


def main() -> None:
    """Read a request from standard input, generate load, and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--expected", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, required=True)
    options = parser.parse_args()
    request = sys.stdin.buffer.read()
    result = generate_load(
        options.port, request, expected=options.expected, seconds=options.seconds, warm_up=options.warm_up
    )
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
