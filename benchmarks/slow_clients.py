"""Measures how healthy clients fare beside stalled ones and beside readers who never read, on several web servers.

All servers run the same application: ours, gunicorn's own threaded worker, and gevent and waitress where they are
installed (`pip install gevent waitress`).
"""

import importlib.util
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from benchmarks.compare import Comparison, LoadPlan, measure
from benchmarks.load import LoadResult
from benchmarks.servers import SETTINGS, Servers
from tests.processes import ROOT, environment, free_port, is_listening, running, wait_until, web

STALLED_CLIENTS = 200
SLOW_READERS = 50
HALF_A_BODY = (
    b"POST /v1/pledges HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
)
# Until each slow client has an answer, which stalled ones and those of a server that is stopped never get.
SETTLE_SECONDS = 10


def run(servers: Servers, comparison: Comparison, plan: LoadPlan) -> str:
    """Return a table: for each server, the latency of healthy clients alone and beside slow ones."""
    token = _export_token(servers)
    export = (
        b"GET /v1/admin/pledges/export?format=csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % token
    )
    slow = {
        f"beside {STALLED_CLIENTS} stalled clients": (STALLED_CLIENTS, HALF_A_BODY),
        f"beside {SLOW_READERS} exports not read": (SLOW_READERS, export),
    }
    lines = [f"{comparison.name:54}{'requests/s':>11}{'p50 ms':>9}{'p95 ms':>9}{'errors':>8}   p95 beside / alone"]
    for name, server in _servers(servers).items():
        with server as base:
            port = int(base.rpartition(":")[2])
            alone: list[LoadResult] = []
            beside: dict[str, list[LoadResult]] = {label: [] for label in slow}
            # In alternating rounds, so that other load on the machine affects all alike.
            for _ in range(plan.rounds):
                alone.append(measure(port, comparison, plan))
                for label, (count, request) in slow.items():
                    with _clients(port, count, request):
                        beside[label].append(measure(port, comparison, plan))
            lines.append(_line(f"{name}, alone", alone, alone))
            lines += [_line(f"{name}, {label}", results, alone) for label, results in beside.items()]
    return "\n".join(lines)


def _line(name: str, results: list[LoadResult], alone: list[LoadResult]) -> str:
    p50, p95 = (statistics.median(getattr(result, field) for result in results) for field in ("p50_ms", "p95_ms"))
    rate = statistics.median(result.responses / result.seconds for result in results)
    errors = sum(result.errors for result in results)
    before = statistics.median(result.p95_ms for result in alone)
    ratio = f"{p95 / before:.2f}" if results is not alone and before and p95 else ""
    return f"{name:54}{rate:>11,.0f}{p50:>9.1f}{p95:>9.1f}{errors:>8}   {ratio}".rstrip()


@contextmanager
def _clients(port: int, count: int, request: bytes) -> Iterator[None]:
    """Hold this many connections that send one request, or a part of one, and never read."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(request)
            clients.append(client)
        settled_at = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < settled_at and len(select.select(clients, [], [], 0)[0]) < count:
            time.sleep(0.1)
        yield


def _servers(servers: Servers) -> dict[str, AbstractContextManager[str]]:
    log = servers.log.parent
    found = {
        "ours": web(servers.url, log / "slow-ours.log", **SETTINGS),
        "gunicorn gthread": web(
            servers.url, log / "gthread.log", GUNICORN_CMD_ARGS="--worker-class gthread", **SETTINGS
        ),
    }
    if importlib.util.find_spec("gevent"):
        found["gunicorn gevent"] = web(
            servers.url, log / "gevent.log", GUNICORN_CMD_ARGS="--worker-class gevent", **SETTINGS
        )
    if importlib.util.find_spec("waitress"):
        found["waitress, 8 threads"] = _waitress(servers, log / "waitress.log")
    return found


@contextmanager
def _waitress(servers: Servers, log: Path) -> Iterator[str]:
    port = free_port()
    command = (sys.executable, "-m", "waitress", "--host=127.0.0.1", f"--port={port}", "--threads=8")
    env = environment(servers.url, PORT=str(port), **SETTINGS)
    with running(*command, "--connection-limit=1000", "--call", "service.app:create_app", log=log, env=env):
        wait_until(lambda: is_listening(f"http://127.0.0.1:{port}/healthz"), what=f"waitress, see {log}")
        yield f"http://127.0.0.1:{port}"


def _export_token(servers: Servers) -> bytes:
    return subprocess.run(
        [sys.executable, "-m", "service", "token", "create", "--name", "slow", "--scope", "export"],
        env=servers.environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.strip()
