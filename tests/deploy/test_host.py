"""HOST may be any address of the machine, also an IPv6 one."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.processes import ROOT, environment, free_port, is_listening, running, wait_until


def serve(database: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", "serve"],
        cwd=ROOT,
        env=environment(database, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_service_listens_on_an_ipv6_address(migrated_database: str, tmp_path: Path) -> None:
    port = free_port()
    env = environment(migrated_database, HOST="::1", PORT=str(port), WEB_CONCURRENCY="1")
    url = f"http://[::1]:{port}/healthz"
    with running(sys.executable, "-m", "service", "serve", log=tmp_path / "log", env=env) as process:
        wait_until(
            lambda: process.poll() is not None or is_listening(url), what=f"the web process, see {tmp_path}"
        )
        assert requests.get(url, timeout=60).json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "HOST=192.0.2.1 is not an address of this machine"),
        ("2001:db8::1", "HOST=2001:db8::1 is not an address of this machine"),
        ("nowhere.invalid", "HOST=nowhere.invalid is not an address of this machine"),
    ],
)
def test_address_of_another_machine_is_refused(migrated_database: str, host: str, message: str) -> None:
    refused = serve(migrated_database, HOST=host, PORT=str(free_port()))
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "taken" not in refused.stderr


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_taken_port_is_reported(migrated_database: str, family: int, host: str) -> None:
    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        refused = serve(migrated_database, HOST=host, PORT=str(port))
    assert refused.returncode == 1
    assert f"Port {port} is taken" in refused.stderr
