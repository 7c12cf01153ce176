"""What is for this machine only: loopback peer, Host and PUBLIC_URL, and no header of a proxy."""

import dataclasses
from pathlib import Path

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.container import Container
from service.loopback import is_loopback_address, is_loopback_host
from service.settings import Settings
from service.web import init_app
from tests.api.client import assert_problem, auth_headers, staff_token
from tests.api.test_real_server import send_raw
from tests.conftest import settings_for
from tests.processes import web

LOCAL_PATHS = ("/metrics", "/dev/outbox")
FORWARDING = {
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Server": "proxy",
    "X-Forwarded-Prefix": "/",
    "X-Forwarded-By": "proxy",
    "X-Forwarded": "127.0.0.1",
    "Forwarded": "for=127.0.0.1",
    "Forwarded-For": "127.0.0.1",
    "X-Real-IP": "127.0.0.1",
    "Via": "1.1 proxy",
    "X-Client-IP": "127.0.0.1",
    "Client-IP": "127.0.0.1",
    "True-Client-IP": "127.0.0.1",
    "Fastly-Client-IP": "127.0.0.1",
    "X-Cluster-Client-IP": "127.0.0.1",
    "CF-Connecting-IP": "127.0.0.1",
    "CF-Ray": "1-AMS",
    "CDN-Loop": "cloudflare",
    "X-Original-Forwarded-For": "127.0.0.1",
    "X-Original-Host": "localhost",
    "X-Envoy-External-Address": "127.0.0.1",
    "X-Remote-Addr": "127.0.0.1",
    "X-ProxyUser-Ip": "127.0.0.1",
    "X-Request-Start": "t=1",
    "X-Varnish": "32770",
    "X-Cache": "MISS",
    "X-Amz-Cf-Id": "a",
    "X-Azure-FDID": "a",
    "X-Cloud-Trace-Context": "a/1",
    "X-Amzn-Trace-Id": "Root=1",
    "X-Heroku-Request-Id": "a",
    "X-Appengine-Country": "DE",
    "Surrogate-Capability": "a=ESI/1.0",
    "Cf-Visitor": "{}",
    "Fly-Region": "ams",
    "X-Vercel-Id": "a",
    "X-Nf-Request-Id": "a",
}


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, PUBLIC_URL="http://localhost:8000")


def statuses(client: FlaskClient, *, peer: str = "127.0.0.1", **headers: str) -> list[int]:
    """Return the statuses of both local paths for one kind of request."""
    given = {"Host": "localhost:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return [
        client.get(path, headers=given, environ_base={"REMOTE_ADDR": peer}).status_code for path in LOCAL_PATHS
    ]


OPEN, CLOSED = [200, 200], [401, 404]


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "127.0.0.1"])
def test_request_of_this_machine_is_local(client: FlaskClient, peer: str, host: str) -> None:
    assert statuses(client, peer=peer, Host=host) == OPEN


def test_headers_of_programs_on_this_machine_are_local(client: FlaskClient) -> None:
    ours = {
        "X-Request-Id": "a" * 16,
        "X-Requested-With": "XMLHttpRequest",
        "X-Prometheus-Scrape-Timeout-Seconds": "9",
    }
    browser = {"DNT": "1", "Sec-Fetch-Site": "none", "Accept-Language": "en", "Cookie": "a=b", "Referer": "/"}
    assert statuses(client, **ours, **browser) == OPEN


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1", "2001:db8::1", "::ffff:203.0.113.9", "", "unix"])
def test_request_of_another_machine_is_not_local(client: FlaskClient, peer: str) -> None:
    assert statuses(client, peer=peer) == CLOSED


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "localhost,evil.example",
        "localhost evil.example",
        "[::1].evil.example",
        "0.0.0.0:8000",
        "203.0.113.9",
        "",
        ":8000",
        "[]",
    ],
)
def test_dns_rebinding_is_not_local(client: FlaskClient, host: str) -> None:
    """A browser on this machine sends the requests of another site, whose name leads to 127.0.0.1."""
    assert statuses(client, Host=host) == CLOSED


@pytest.mark.parametrize(
    "target", ["http://evil.example{}", "HTTP://localhost@evil.example{}", "http://localhost{}"]
)
def test_whole_url_as_target_is_not_local(client: FlaskClient, target: str) -> None:
    """Such a target names the host instead of the header (RFC 9112, section 3.2.2)."""
    closed = [
        client.get(path, environ_overrides={"RAW_URI": target.format(path)}).status_code
        for path in ("/metrics", "/dev/outbox")
    ]
    assert closed == [401, 404]


@pytest.mark.parametrize("name", FORWARDING)
def test_header_of_a_proxy_makes_a_request_not_local(client: FlaskClient, name: str) -> None:
    assert statuses(client, **{name: FORWARDING[name]}) == CLOSED
    assert statuses(client, **{name.lower(): "x"}) == CLOSED


@pytest.mark.parametrize("url", ["https://support.paper.example", "http://desk.test", "http://203.0.113.9:8000"])
def test_nothing_is_local_under_a_public_address(
    app: Flask, client: FlaskClient, container: Container, url: str
) -> None:
    """A proxy on this machine may add no header, and call us by the name that it connects to."""
    settings = dataclasses.replace(container.settings, public_url=url)
    init_app(app, dataclasses.replace(container, settings=settings))
    assert statuses(client) == CLOSED


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_too_many_trusted_proxies_make_no_request_local(container: Container, hops: int) -> None:
    settings = dataclasses.replace(container.settings, trusted_proxies=hops)
    client = create_app(dataclasses.replace(container, settings=settings)).test_client()
    for forged in ("127.0.0.1", "127.0.0.1, 203.0.113.9", "::1, 203.0.113.9", "127.0.0.1, 127.0.0.1, 127.0.0.1"):
        assert statuses(client, X_Forwarded_For=forged) == CLOSED
        assert statuses(client, peer="203.0.113.9", X_Forwarded_For=forged) == CLOSED
    assert statuses(client, peer="203.0.113.9") == CLOSED
    assert statuses(client) == OPEN


def test_token_opens_metrics_but_never_the_outbox(client: FlaskClient, container: Container) -> None:
    headers = {"Host": "evil.example"} | auth_headers(container, "read")
    assert [client.get(path, headers=headers).status_code for path in LOCAL_PATHS] == [200, 404]
    refused = client.get("/metrics", headers={"Host": "evil.example"} | auth_headers(container, "manage"))
    assert_problem(refused, 403, "scope_missing")


def test_real_server_opens_nothing_to_proxies_and_rebinding(
    container: Container, migrated_database: str, tmp_path: Path
) -> None:
    token = staff_token(container, "read")
    with web(migrated_database, tmp_path / "log", TRUSTED_PROXIES="2") as base:
        for path in LOCAL_PATHS:
            closed = 401 if path == "/metrics" else 404
            assert requests.get(base + path, timeout=60).status_code == 200
            for headers in (
                {"Host": "evil.example"},
                {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},
                {"X-Forwarded-Proto": "https"},
                {"Via": "1.1 proxy"},
            ):
                assert requests.get(base + path, headers=headers, timeout=60).status_code == closed, headers
            without_host = send_raw(base, f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert without_host.partition(b" ")[2].startswith(str(closed).encode())
    public = {"PUBLIC_URL": "https://support.paper.example"}
    with web(migrated_database, tmp_path / "log", **public) as base:
        assert [requests.get(base + path, timeout=60).status_code for path in LOCAL_PATHS] == CLOSED
        allowed = requests.get(f"{base}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=60)
        assert allowed.status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("paper.localhost", True),
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("127.1", True),
        ("2130706433", True),
        ("0x7f.1", True),
        ("017700000001", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", True),
        ("", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("128.0.0.1", False),
        ("127.0.0.1.example", False),
        ("127.0.0.1 x", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::2", False),
        ("fe80::1", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_loopback_hosts_are_recognised_as_browsers_do(host: str, expected: bool) -> None:
    assert is_loopback_host(host) is expected


def test_loopback_address_is_no_name() -> None:
    assert not is_loopback_address("localhost")
