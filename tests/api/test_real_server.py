"""Behaviour over real connections: chunked bodies, truncated requests, and two processes."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from service.container import Container
from tests.api.client import PLEDGE, auth_headers, campaign_definition, new_idempotency_key
from tests.clock import FakeClock
from tests.processes import web


@pytest.fixture
def base(container: Container, migrated_database: str, tmp_path: Path) -> Iterator[str]:
    """Run a web process on the test's database."""
    with web(migrated_database, tmp_path / "log") as base:
        yield base


def in_chunks(number: int) -> Iterator[bytes]:
    yield json.dumps(PLEDGE).encode()
    for _ in range(number):
        yield b" " * 1024


def send_raw(base: str, data: bytes, *, hang_up: bool = False) -> bytes:
    """Send raw bytes and return the whole response."""
    address = urlsplit(base)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(data)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_real_server_keeps_contract(
    base: str, container: Container, client: FlaskClient, clock: FakeClock
) -> None:
    headers = {"Idempotency-Key": new_idempotency_key(), "Content-Type": "application/json"}
    # Without Content-Length, the size of a body is checked while it is read.
    taken = requests.post(f"{base}/v1/pledges", data=in_chunks(10), headers=headers, timeout=60)
    assert taken.status_code == 201
    refused = requests.post(f"{base}/v1/pledges", data=in_chunks(70), headers=headers, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert refused.headers["Content-Type"] == "application/problem+json"
    again = requests.post(f"{base}/v1/pledges", data=in_chunks(10), headers=headers, timeout=60)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")

    head = b"POST /v1/pledges HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    for cut_short in (
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n",
        b"Content-Length: 500\r\n\r\n{}",
        b"Content-Length: minus\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    ):
        response = send_raw(base, head + cut_short, hang_up=True)
        assert not response or response.startswith(b"HTTP/1.1 4"), response
        assert b"<html" not in response

    # A change in one process is visible in the other once its response has arrived.
    old = requests.get(f"{base}/v1/campaigns/default", timeout=60)
    clock.advance(seconds=1)
    file = campaign_definition(container) | {"heading": "Changed in another process"}
    assert (
        client.put("/v1/admin/campaigns/default", json=file, headers=auth_headers(container, "manage")).status_code
        == 200
    )
    new = requests.get(f"{base}/v1/campaigns/default", headers={"If-None-Match": old.headers["ETag"]}, timeout=60)
    assert (new.status_code, new.json()["heading"]) == (200, "Changed in another process")
