"""The load: a few readers who ask again as soon as they are answered, in a process of its own.

It shares the machine with what it measures, so it does the least that still checks every answer: one thread,
raw sockets that stay open for a while, requests that are written before the clock starts.
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
# A connection that stayed open for a whole round would tie its reader to one of the server's two processes, and a
# round's figure would say how evenly chance had spread sixteen readers over them.
REQUESTS_A_CONNECTION = 100
TIMEOUT_SECONDS = 30
EMAIL = b"000000000000"


@dataclass
class LoadResult:
    """What came back. `responses` counts the good ones of the measured time, `stored` all good ones."""

    seconds: float = 0
    responses: int = 0
    stored: int = 0
    errors: int = 0
    p50_ms: float = 0
    p95_ms: float = 0
    first_error: str = ""


@dataclass
class Connection:
    """One reader's connection; `received` is the answer so far and `sent_at` when the question left."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    sent_at: float = 0
    answered: int = 0


def build_request(
    port: int, request: bytes, *, expected: int, seconds: float, warm_up: float, connections: int = CONNECTIONS
) -> LoadResult:
    """Send `request` over and over; a run of twelve zeros in it becomes the number of the reader.

    Answers that come before `warm_up` seconds have passed are checked but not measured. No connection is cut
    while an answer is on its way, so that afterwards `stored` is what the database holds.
    """
    head, marker, tail = request.partition(EMAIL)
    good = b"HTTP/1.1 %d " % expected
    tally, latencies, reader = LoadResult(), [], 0
    with selectors.DefaultSelector() as selector:

        def connect() -> Connection:
            plug = socket.create_connection(("127.0.0.1", port), timeout=5)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(plug)
            selector.register(plug, selectors.EVENT_READ, connection)
            return connection

        def hang_up(connection: Connection) -> None:
            selector.unregister(connection.socket)
            connection.socket.close()

        for _ in range(connections):
            connect()
        begin = time.perf_counter()
        count_from, stop_at = begin + warm_up, begin + warm_up + seconds

        def send(connection: Connection) -> None:
            nonlocal reader
            reader += 1
            connection.sent_at = time.perf_counter()
            connection.socket.sendall(head + b"%012d" % reader + tail if marker else head)

        def fail(connection: Connection, why: str) -> None:
            tally.errors += 1
            tally.first_error = tally.first_error or why
            hang_up(connection)

        for key in list(selector.get_map().values()):
            send(key.data)
        while selector.get_map():
            ready = selector.select(timeout=1)
            now = time.perf_counter()
            if now > stop_at + TIMEOUT_SECONDS:
                tally.errors += len(selector.get_map())
                tally.first_error = tally.first_error or "no answer"
                break
            for key, _ in ready:
                connection = key.data
                try:
                    piece = connection.socket.recv(65536)
                except OSError as error:
                    fail(connection, str(error))
                    continue
                connection.received += piece
                if not piece:
                    fail(connection, "the server closed the connection")
                    continue
                if not _complete(connection.received):
                    continue
                if not connection.received.startswith(good):
                    fail(connection, connection.received[:300].decode("latin-1"))
                    continue
                tally.stored += 1
                if count_from <= now < stop_at:
                    tally.responses += 1
                    latencies.append(now - connection.sent_at)
                connection.received.clear()
                connection.answered += 1
                if now >= stop_at:
                    hang_up(connection)
                elif connection.answered < REQUESTS_A_CONNECTION:
                    send(connection)
                else:
                    hang_up(connection)
                    send(connect())
    tally.seconds = seconds
    if len(latencies) > 1:
        cuts = statistics.quantiles(latencies, n=20)
        tally.p50_ms, tally.p95_ms = cuts[9] * 1000, cuts[18] * 1000
    return tally


def _complete(received: bytearray) -> bool:
    """Whether this holds a whole answer; all that we measure say their length."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    said = received[:end].lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return len(received) >= end + 4 + int(said or 0)


def main() -> None:
    """Read the request from standard input, send it as the options say, and print the tally as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--expected", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, required=True)
    options = parser.parse_args()
    request = sys.stdin.buffer.read()
    tally = build_request(
        options.port, request, expected=options.expected, seconds=options.seconds, warm_up=options.warm_up
    )
    print(json.dumps(asdict(tally)))


if __name__ == "__main__":
    main()
