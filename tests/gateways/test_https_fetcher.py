"""Fetching a document by HTTPS: the certificate, the deadline, the size, and no redirects."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.gateways.https_fetcher import MAX_RESPONSE_BYTES, DocumentRefused, FetchError, HttpsFetcher
from tests.gateways.https_server import HttpsTestServer, serve_https
from tests.processes import free_port, wait_until

HOST = "documents.example"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpsTestServer]:
    """Run a server for HOST."""
    with serve_https(tmp_path, HOST) as running:
        yield running


def test_document_is_fetched_from_its_host(server: HttpsTestServer) -> None:
    server.documents["/a?b=c%20d"] = (200, b"x" * MAX_RESPONSE_BYTES)
    assert server.fetcher().get(HOST, "/a?b=c%20d") == b"x" * MAX_RESPONSE_BYTES
    assert server.requests == [(HOST, "/a?b=c%20d")]


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1", "documents.example.evil.example"])
def test_certificate_of_another_host_is_rejected(server: HttpsTestServer, host: str) -> None:
    with pytest.raises(FetchError, match="SSLCertVerificationError"):
        server.fetcher().get(host, "/a")
    assert server.requests == []


def test_certificate_of_an_unknown_authority_is_rejected(server: HttpsTestServer) -> None:
    with pytest.raises(FetchError, match="SSLCertVerificationError"):
        HttpsFetcher(address=("127.0.0.1", server.port)).get(HOST, "/a")
    assert server.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(server: HttpsTestServer, status: int) -> None:
    server.documents |= {"/a": (status, b""), "/b": (200, b"secret")}
    server.headers["Location"] = f"https://{HOST}:{server.port}/b"
    with pytest.raises(FetchError, match=f"status {status}") as failure:
        server.fetcher().get(HOST, "/a")
    assert not isinstance(failure.value, DocumentRefused)
    assert [target for _, target in server.requests] == ["/a"]


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(204, False), (400, True), (403, True), (404, True), (429, False), (500, False), (503, False)],
)
def test_status_tells_whether_a_retry_helps(server: HttpsTestServer, status: int, is_final: bool) -> None:
    server.documents["/a"] = (status, b"")
    with pytest.raises(FetchError) as failure:
        server.fetcher().get(HOST, "/a")
    assert isinstance(failure.value, DocumentRefused) == is_final


def test_large_document_is_rejected(server: HttpsTestServer) -> None:
    server.documents["/a"] = (200, b"x" * (MAX_RESPONSE_BYTES + 1))
    with pytest.raises(FetchError, match="too large"):
        server.fetcher().get(HOST, "/a")


def test_silent_server_costs_one_deadline(server: HttpsTestServer) -> None:
    server.may_answer.clear()
    with pytest.raises(FetchError, match=r"in time|Timeout"):
        server.fetcher(deadline_seconds=0.3).get(HOST, "/a")


def test_second_fetch_fails_while_the_first_one_waits(server: HttpsTestServer) -> None:
    server.documents |= {"/a": (200, b"a"), "/b": (200, b"b")}
    server.may_answer.clear()
    fetcher, found = server.fetcher(), list[bytes]()
    first = threading.Thread(target=lambda: found.append(fetcher.get(HOST, "/a")))
    first.start()
    wait_until(lambda: bool(server.requests), what="the first request")
    with pytest.raises(FetchError, match="another document"):
        fetcher.get(HOST, "/b")
    server.may_answer.set()
    first.join()
    assert found == [b"a"]
    assert fetcher.get(HOST, "/b") == b"b"


def test_unreachable_server_is_a_fetch_error() -> None:
    fetcher = HttpsFetcher(address=("127.0.0.1", free_port()))
    for _ in range(2):
        with pytest.raises(FetchError, match="ConnectionRefusedError"):
            fetcher.get(HOST, "/a")
