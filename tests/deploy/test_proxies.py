"""The proxies of deploy/ in front of a real web process: what they pass on, hide and do not log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from service.container import Container
from tests.api.client import staff_token
from tests.conftest import make_database, settings_for
from tests.deploy import proxy as proxies
from tests.deploy.proxy import HOST, Proxy
from tests.processes import KEYS, free_port, web

PROXIES = [
    "nginx",
    pytest.param("caddy", marks=pytest.mark.skipif(not proxies.program("caddy"), reason="no Caddy here")),
]
SECRET_PATH = "/r/a-token-that-only-its-reader-knows"
LIMIT = 3


@pytest.fixture(scope="module", params=PROXIES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def database(worker_id: str, kind: str) -> Iterator[Container]:
    url = make_database(f"mainstay_{kind}_{worker_id}")
    container = build_container(settings_for(url, SECRET_KEYS=KEYS))
    migrate_and_seed(container)
    yield container
    container.database.engine.dispose()


@pytest.fixture(scope="module")
def proxy(kind: str, database: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy in front of a web process with the settings of deploy/mainstay.env that concern it."""
    settings = {"PUBLIC_URL": f"https://{HOST}", "TRUSTED_PROXIES": "1", "RATE_LIMIT": f"{LIMIT}/hour"}
    folder = tmp_path_factory.mktemp(kind)
    url, log = database.settings.database_url, tmp_path_factory.mktemp("web") / "log"
    with (
        web(url, log, **settings) as base,
        getattr(proxies, kind)(folder, int(base.rpartition(":")[2])) as running,
    ):
        yield running


def test_pages_and_api_are_reached_under_the_public_name(proxy: Proxy, database: Container) -> None:
    page = proxy.request("GET", "/support/default")
    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    pledge = proxy.request(
        "POST",
        "/v1/pledges",
        json={"campaign": "default", "frequency": "once", "amount": 500, "currency": "USD"},
        headers={"Idempotency-Key": "a-key-of-its-own", "Origin": f"https://{HOST}"},
    )
    assert pledge.status_code == 201
    assert pledge.json()["checkout_url"].startswith(f"https://{HOST}/")
    # The session's cookie is Secure, and the check for cross-site requests compares https:// with https://.
    signed_in = proxy.request(
        "POST", "/me", data={"email": "reader@news.example"}, headers={"Origin": f"https://{HOST}"}
    )
    assert signed_in.status_code < 400
    export = proxy.request(
        "GET",
        "/v1/admin/pledges/export?format=csv",
        headers={"Authorization": f"Bearer {staff_token(database, 'export')}"},
    )
    assert export.status_code == 200
    assert "500" in export.text or "5.00" in export.text


def test_client_cannot_say_who_it_is(proxy: Proxy) -> None:
    statuses = [
        proxy.request(
            "POST",
            "/v1/reminders",
            json={"campaign": "default", "email": f"reader{number}@news.example"},
            headers={
                "X-Forwarded-For": f"203.0.{number}.1",
                "Forwarded": f"for=203.0.{number}.1",
                "X-Real-IP": f"203.0.{number}.1",
            },
        ).status_code
        for number in range(LIMIT + 1)
    ]
    assert statuses == [201] * LIMIT + [429]


@pytest.mark.parametrize("host", [HOST, "localhost"])
def test_nothing_for_this_machine_only_is_open_through_the_proxy(proxy: Proxy, host: str) -> None:
    for path in ("/metrics", "/dev/outbox"):
        response = proxy.request("GET", path, headers={"Host": host})
        assert response.status_code in (401, 404) or not response.content, path


def test_proxy_logs_no_path(proxy: Proxy) -> None:
    assert proxy.request("GET", SECRET_PATH).status_code == 404
    assert SECRET_PATH not in proxy.logs()


def test_proxy_logs_no_path_of_a_request_that_fails(kind: str, tmp_path: Path) -> None:
    with getattr(proxies, kind)(tmp_path, free_port()) as without_service:
        assert without_service.request("GET", SECRET_PATH).status_code == 502
    assert SECRET_PATH not in without_service.logs()


def test_large_request_is_refused(proxy: Proxy) -> None:
    assert proxy.request("POST", "/v1/reminders", data=b" " * 2_000_000).status_code == 413
