"""Slow clients of a real gunicorn: they hold no thread, and each is cut off at its time limit.

No test measures a speed: while clients stall, the time limits are an hour, so that only threads that are free can
answer the others.
"""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import text

from service.bootstrap import build_container
from service.container import Container
from tests.api.client import PLEDGE, auth_headers, new_idempotency_key
from tests.conftest import reset_database, settings_for
from tests.db.factories import create_paid_pledge
from tests.processes import wait_until, web

# The web process of these tests has four threads.
STALLED_CLIENTS = 200
SLOW_READERS = 50
EXPORTED_PLEDGES = 20_000
HOUR = "3600"
HEAD = b"POST /v1/pledges HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
STALLED_REQUESTS = {
    "nothing": b"",
    "one byte": b"P",
    "half a request line": b"POST /v1/pled",
    "half the headers": HEAD,
    "headers without a body": HEAD + b"Content-Length: 500\r\n\r\n",
    "half a body": HEAD + b'Content-Length: 500\r\n\r\n{"campaign": ',
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{",
    "chunks without an end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "an endless trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n",
    "no body after 100 Continue": HEAD + b"Expect: 100-continue\r\nContent-Length: 500\r\n\r\n",
    "a large body that never comes": HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 100_000,
    "half a second request": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPOST /v1/pled",
}


def connect(base: str, data: bytes = b"", *, receive_buffer: int | None = None) -> socket.socket:
    address = urlsplit(base)
    client = socket.socket()
    client.settimeout(120)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect((address.hostname, address.port))
    client.sendall(data)
    return client


def read_to_end(client: socket.socket) -> bytes:
    received = bytearray()
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return bytes(received)


def assert_others_are_served(base: str) -> None:
    assert requests.get(f"{base}/healthz", timeout=100).json() == {"status": "ok"}
    assert requests.get(f"{base}/v1/campaigns/default", timeout=100).status_code == 200
    headers = {"Idempotency-Key": new_idempotency_key()}
    assert requests.post(f"{base}/v1/pledges", json=PLEDGE, headers=headers, timeout=100).status_code == 201
    # A body without a length.
    chunks = iter([json.dumps(PLEDGE).encode()])
    assert requests.post(f"{base}/v1/pledges", data=chunks, timeout=100).status_code == 415


@contextmanager
def many(
    count: int, base: str, *requests_: bytes, receive_buffer: int | None = None
) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(connect(base, requests_[number % len(requests_)], receive_buffer=receive_buffer))
            for number in range(count)
        ]


@pytest.fixture(scope="module")
def database(migrated_database: str) -> Iterator[Container]:
    """Empty the database once: the web processes of this module cache its campaign."""
    container = build_container(settings_for(migrated_database))
    reset_database(container)
    yield container
    container.database.engine.dispose()


@pytest.fixture(scope="module")
def patient(database: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a web process that waits an hour for its clients; return its URL."""
    log = tmp_path_factory.mktemp("patient") / "log"
    with web(database.settings.database_url, log, REQUEST_TIMEOUT=HOUR, RESPONSE_TIMEOUT=HOUR) as base:
        yield base


@pytest.fixture(scope="module")
def strict(database: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a web process that waits two seconds for its clients; return its URL."""
    log = tmp_path_factory.mktemp("strict") / "log"
    with web(database.settings.database_url, log, REQUEST_TIMEOUT="2", RESPONSE_TIMEOUT="2") as base:
        yield base


@pytest.fixture(scope="module")
def large_export(database: Container) -> dict[str, str]:
    """Store so many pledges that no socket buffers their export; return the headers that may download it."""
    create_paid_pledge(database, "reader@news.example")
    with database.database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO pledges (id, campaign_id, supporter_id, status, frequency, amount_minor, currency,"
                " page_url, gateway, gateway_reference, created_at)"
                " SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,"
                " campaign_id, supporter_id, status, frequency, 200 + n, currency,"
                " 'https://paper.example/' || n, gateway, 'r' || n, created_at"
                " FROM (SELECT * FROM pledges LIMIT 1) AS one, generate_series(1, :count) AS n"
            ),
            {"count": EXPORTED_PLEDGES},
        )
    return auth_headers(database, "export")


def export_request(headers: dict[str, str]) -> bytes:
    head = ["GET /v1/admin/pledges/export?format=jsonl HTTP/1.1", "Host: x", "Connection: close"]
    return "\r\n".join([*head, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def test_stalled_clients_hold_no_thread(patient: str) -> None:
    with many(STALLED_CLIENTS, patient, *STALLED_REQUESTS.values()):
        assert_others_are_served(patient)


@pytest.mark.parametrize("kind", STALLED_REQUESTS)
def test_each_kind_of_stalled_client_holds_no_thread(patient: str, kind: str) -> None:
    with many(8, patient, STALLED_REQUESTS[kind]):
        assert_others_are_served(patient)


@pytest.mark.parametrize("kind", STALLED_REQUESTS)
def test_stalled_request_ends_at_its_time_limit(strict: str, kind: str) -> None:
    with connect(strict, STALLED_REQUESTS[kind]) as client:
        response = read_to_end(client).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if kind == "nothing":
        assert response == b""
        return
    if kind == "half a second request":
        response = response[response.index(b"HTTP/1.1", 1) :]
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["code"] == "request_timeout"


@pytest.mark.parametrize("request_", [HEAD + b"X: ", HEAD + b"Content-Length: 5000\r\n\r\n"], ids=["head", "body"])
def test_dripping_request_ends_at_its_time_limit(strict: str, request_: bytes) -> None:
    with connect(strict, request_) as client:
        # It is never silent for as long as the limit, but the limit is for the whole request.
        for _ in range(1000):
            if select.select([client], [], [], 0.1)[0]:
                break
            client.sendall(b" ")
        assert client.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_slow_upload_within_the_limit_is_accepted(patient: str) -> None:
    body = json.dumps(PLEDGE).encode().ljust(2048)
    key = new_idempotency_key().encode()
    head = HEAD + b"Connection: close\r\nIdempotency-Key: " + key + b"\r\nContent-Length: 2048\r\n\r\n"
    with connect(patient) as client:
        for start in range(0, len(head + body), 200):
            client.sendall((head + body)[start : start + 200])
            time.sleep(0.02)
        assert read_to_end(client).startswith(b"HTTP/1.1 201 ")


def test_readers_who_never_read_hold_no_thread(patient: str, large_export: dict[str, str]) -> None:
    request = export_request(large_export)
    with many(SLOW_READERS, patient, request, receive_buffer=4096) as clients:
        # Each response has begun, so each export has been asked for.
        wait_until(lambda: len(select.select(clients, [], [], 0)[0]) == SLOW_READERS, what="all responses")
        assert_others_are_served(patient)
    with many(SLOW_READERS, patient, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", receive_buffer=4096):
        assert_others_are_served(patient)


def test_closing_clients_who_stay_hold_no_thread(patient: str) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with many(SLOW_READERS, patient, request) as clients:
        assert all(client.recv(65536).startswith(b"HTTP/1.1 200 ") for client in clients)
        assert_others_are_served(patient)


def test_export_that_nobody_reads_ends_at_its_time_limit(strict: str, large_export: dict[str, str]) -> None:
    with connect(strict, export_request(large_export), receive_buffer=4096) as client:
        assert client.recv(1024).startswith(b"HTTP/1.1 200 ")
        # The server has closed the connection once it resets what it did not send.
        poll = select.poll()
        poll.register(client, select.POLLHUP | select.POLLERR)
        assert poll.poll(100_000)
        received = read_to_end(client)
    assert b"0\r\n\r\n" not in received[-5:]
    # Nothing of it is left: another export gets through.
    full = requests.get(f"{strict}/v1/admin/pledges/export?format=jsonl", headers=large_export, timeout=100)
    assert full.text.count("\n") > EXPORTED_PLEDGES


def test_export_for_a_slow_reader_is_complete(strict: str, large_export: dict[str, str]) -> None:
    # The reader waits longer than the limit in total, but takes enough in each window.
    with connect(strict, export_request(large_export), receive_buffer=64 * 1024) as client:
        received = bytearray()
        while data := client.recv(256 * 1024):
            received += data
            time.sleep(0.02)
    assert received.endswith(b"0\r\n\r\n")
    assert received.count(b'"created_at"') > EXPORTED_PLEDGES


def test_pipelined_requests_are_answered_in_order(patient: str) -> None:
    first, last = b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"GET /nothing HTTP/1.1\r\nHost: x\r\n"
    with connect(patient, first + b"\r\n" + first + b"\r\n" + last + b"Connection: close\r\n\r\n") as client:
        received = read_to_end(client)
    assert [line[9:12] for line in received.split(b"\n") if line.startswith(b"HTTP/1.1")] == [
        b"200",
        b"200",
        b"404",
    ]


@pytest.mark.parametrize("zeros", ["", "0", "0" * 30])
def test_request_inside_a_body_is_not_answered(patient: str, zeros: str) -> None:
    inner = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    outer = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: " + zeros.encode() + b"%d\r\n\r\n" % len(inner)
    with connect(patient, outer + inner + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n") as client:
        received = read_to_end(client)
    assert [line[9:12] for line in received.split(b"\n") if line.startswith(b"HTTP/1.1")] == [b"200", b"200"]


def test_client_is_told_to_continue(patient: str) -> None:
    body = json.dumps(PLEDGE).encode()
    key = b"Idempotency-Key: " + new_idempotency_key().encode()
    head = HEAD + key + b"\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connect(patient, head) as client:
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert read_to_end(client).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("header", [b"Expectation: x", b"Expect-Ct: x"])
def test_body_is_read_whatever_other_headers_expect(patient: str, header: bytes) -> None:
    body = json.dumps(PLEDGE).encode()
    head = HEAD + b"Idempotency-Key: " + new_idempotency_key().encode() + b"\r\n" + header
    with connect(patient, head + b"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)) as client:
        client.sendall(body)
        assert read_to_end(client).startswith(b"HTTP/1.1 201 ")


def test_old_client_that_expects_to_continue_is_served(patient: str) -> None:
    body = json.dumps(PLEDGE).encode()
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Idempotency-Key: " + new_idempotency_key().encode()
    head += b"\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connect(patient, head + body) as client:
        assert read_to_end(client).startswith(b"HTTP/1.0 201 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"Content-Length: 2000000\r\n\r\n", b"413"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 20, b"413"),
        (HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 4000) for n in range(20)) + b"\r\n", b"431"),
        (b"GET /" + b"y" * 5000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /" + b"y" * 50_000, b"431"),
        (HEAD + b"Expect: a-miracle\r\nContent-Length: 500\r\n\r\n", b"417"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (HEAD + b"Content-Length: minus\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
    ],
)
def test_unacceptable_request_is_refused_at_once(patient: str, request_: bytes, status: bytes) -> None:
    with connect(patient, request_) as client:
        response = read_to_end(client)
    assert response[9:12] == status
    assert b"application/problem+json" in response


def test_truncated_body_is_not_taken_for_a_whole_one(patient: str) -> None:
    body = json.dumps(PLEDGE).encode()
    key = b"Idempotency-Key: " + new_idempotency_key().encode()
    with connect(patient, HEAD + key + b"\r\nContent-Length: 5000\r\n\r\n" + body) as client:
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client).startswith(b"HTTP/1.1 400 ")


def test_more_clients_than_connections_do_not_shut_out_others(database: Container, tmp_path: Path) -> None:
    limits = {"REQUEST_TIMEOUT": HOUR, "GUNICORN_CMD_ARGS": "--worker-connections 50"}
    with (
        web(database.settings.database_url, tmp_path / "log", **limits) as base,
        many(STALLED_CLIENTS, base, STALLED_REQUESTS["half a body"]),
    ):
        assert_others_are_served(base)
