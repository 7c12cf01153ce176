"""The rate limit with a real Redis: one that hangs, is stopped, refuses the login or speaks no TLS.

No test measures a speed. A call that waited for a Redis that hangs would never end.
"""

import datetime
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from structlog.testing import capture_logs

from service.db.keyring import Keyring
from service.domain.errors import TooManyRequests
from service.gateways import redis_counter
from service.gateways.rate_limit import SlidingWindowRateLimiter
from tests.api.client import REMINDER
from tests.processes import free_port, wait_until, web

PASSWORD = "a-password-that-only-the-tests-know"
CLIENT = "203.0.113.9"


@dataclass
class RedisServer:
    """A running redis-server."""

    port: int
    socket: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def is_up(self) -> bool:
        with socket.socket() as probe:
            return self.process.poll() is None and probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def run_redis(folder: Path, port: int | None = None) -> Iterator[RedisServer]:
    port, path = port or free_port(), folder / "redis.sock"
    command = ["redis-server", "--port", str(port), "--unixsocket", str(path), "--requirepass", PASSWORD]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder), "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    server = RedisServer(port, path, process)
    try:
        wait_until(server.is_up, what="redis-server")
        yield server
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    assert shutil.which("redis-server"), "install Debian's package redis-server"
    with run_redis(tmp_path) as server:
        yield server


def limiter(url: str, rate: str = "3/hour") -> SlidingWindowRateLimiter:
    return SlidingWindowRateLimiter(rate, Keyring(("a-secret",)), redis_url=url)


def requests_until_refused(rate_limiter: SlidingWindowRateLimiter) -> int:
    for count in range(100):
        try:
            rate_limiter.check("reminder", CLIENT)
        except TooManyRequests:
            return count
    return 100


def test_processes_count_together(redis_server: RedisServer) -> None:
    first, second = limiter(redis_server.url), limiter(redis_server.url)
    first.check("reminder", CLIENT)
    assert requests_until_refused(second) == 2
    assert first.store_problem() is None


def test_redis_is_reached_through_a_unix_socket(redis_server: RedisServer) -> None:
    through_socket = limiter(f"unix://:{PASSWORD}@{redis_server.socket}?db=0")
    assert through_socket.store_problem() is None
    through_socket.check("reminder", CLIENT)
    assert requests_until_refused(limiter(redis_server.url)) == 2


def test_redis_that_hangs_leaves_each_process_to_count_by_itself(redis_server: RedisServer) -> None:
    rate_limiter = limiter(redis_server.url)
    rate_limiter.check("reminder", CLIENT)
    redis_server.process.send_signal(signal.SIGSTOP)
    with capture_logs() as logged:
        assert requests_until_refused(rate_limiter) == 3
        assert rate_limiter.store_problem() == "Redis does not answer; check REDIS_URL"
    assert [line["event"] for line in logged] == ["rate_limit_store_unavailable"]


def test_stopped_redis_is_used_again_when_it_is_back(tmp_path: Path, redis_server: RedisServer) -> None:
    rate_limiter = limiter(redis_server.url)
    rate_limiter.check("reminder", CLIENT)
    redis_server.process.kill()
    redis_server.process.wait()
    assert requests_until_refused(rate_limiter) == 3
    folder = tmp_path / "again"
    folder.mkdir()
    with run_redis(folder, redis_server.port), capture_logs() as logged:
        wait_until(lambda: rate_limiter.store_problem() is None, what="the circuit breaker to try again")
        assert requests_until_refused(rate_limiter) == 3
    assert [line["event"] for line in logged] == ["rate_limit_store_available"]


@pytest.mark.parametrize(
    "url", ["redis://:wrong@127.0.0.1:{port}/0", "redis://127.0.0.1:{port}/0", "redis://who:x@127.0.0.1:{port}"]
)
def test_refused_login_is_reported_once(redis_server: RedisServer, url: str) -> None:
    rate_limiter = limiter(url.format(port=redis_server.port))
    with capture_logs() as logged:
        assert requests_until_refused(rate_limiter) == 3
        assert rate_limiter.store_problem() == "Redis refuses the login in REDIS_URL"
    assert [line["problem"] for line in logged] == ["Redis refuses the login in REDIS_URL"]
    assert PASSWORD not in str(logged)
    assert "wrong" not in str(logged)


def test_redis_that_stays_away_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)
    rate_limiter = limiter(f"redis://127.0.0.1:{free_port()}/0", rate="100/hour")
    with capture_logs() as logged:
        for minute in range(5):
            # The circuit breaker allows another attempt after a minute at most, which fails too.
            monkeypatch.setattr(
                redis_counter, "_now", lambda minute=minute: now + datetime.timedelta(minutes=minute)
            )
            for _ in range(3):
                rate_limiter.check("reminder", CLIENT)
    assert [line["event"] for line in logged] == ["rate_limit_store_unavailable"]


def test_tls_to_a_plain_port_ends(redis_server: RedisServer) -> None:
    rate_limiter = limiter(f"rediss://:{PASSWORD}@127.0.0.1:{redis_server.port}/0")
    assert requests_until_refused(rate_limiter) == 3
    assert rate_limiter.store_problem() == "Redis does not answer; check REDIS_URL"


def test_server_that_accepts_and_says_nothing_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        rate_limiter = limiter(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert requests_until_refused(rate_limiter) == 3


def test_replica_that_refuses_to_write_is_reported(redis_server: RedisServer) -> None:
    rate_limiter = limiter(redis_server.url)
    admin = ["redis-cli", "--no-auth-warning", "-a", PASSWORD, "-p", str(redis_server.port)]
    subprocess.run([*admin, "REPLICAOF", "127.0.0.1", "1"], check=True, stdout=subprocess.DEVNULL)
    assert requests_until_refused(rate_limiter) == 3
    assert rate_limiter.store_problem() is not None


@pytest.mark.usefixtures("container")
def test_site_stays_up_while_redis_hangs(
    migrated_database: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    with web(
        migrated_database, tmp_path / "log", REDIS_URL=redis_server.url, RATE_LIMIT="3/hour", WEB_CONCURRENCY="1"
    ) as base:
        assert requests.get(f"{base}/readyz", timeout=60).json()["checks"]["redis"] == "ok"
        redis_server.process.send_signal(signal.SIGSTOP)
        assert requests.get(f"{base}/healthz", timeout=60).status_code == 200
        statuses = [requests.post(f"{base}/v1/reminders", json=REMINDER, timeout=60).status_code for _ in range(4)]
        assert statuses == [201, 201, 201, 429]
        ready = requests.get(f"{base}/readyz", timeout=60).json()
    assert ready["checks"]["redis"].startswith("Redis does not answer")
    assert ready["attention"]["redis"] == ready["checks"]["redis"]
    assert "redis: " not in ready.get("detail", "")
    assert (tmp_path / "log").read_text().count("rate_limit_store_unavailable") == 1
