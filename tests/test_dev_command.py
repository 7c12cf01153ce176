"""The first minutes: `make dev` says what it does, and `mainstay dev` keeps its addresses in view."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.cli import assert_cli_error, run_cli
from tests.processes import KEYS, ROOT, environment, free_port, running, wait_until

NOTICE = "Installing dependencies, about a minute…"


class Development(NamedTuple):
    """A running `mainstay dev`: its address and the file of its output."""

    base: str
    log: Path


@pytest.fixture
def development(tmp_path: Path) -> Iterator[Development]:
    port, log = free_port(), tmp_path / "log"
    env = environment(f"sqlite:///{tmp_path}/mainstay.db", PORT=str(port), WEB_CONCURRENCY="1")
    with running(sys.executable, "-m", "service", "dev", log=log, env=env) as process:
        wait_until(
            lambda: "Press Ctrl-C" in log.read_text() or process.poll() is not None, what=f"the banner, see {log}"
        )
        assert process.poll() is None, log.read_text()
        yield Development(f"http://localhost:{port}", log)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 0


def test_banner_stays_in_view_and_the_demo_leads_back(development: Development) -> None:
    base, log = development
    banner = log.read_text()
    for path in ("/demo", "/support/default", "/me", "/dev/outbox", "/docs"):
        assert f"  {base}{path}\n" in banner
        assert requests.get(base + path, timeout=60).status_code == 200
    # The article may have been opened by either name of this machine.
    choice = {"campaign": "default", "frequency": "once", "amount": 500, "currency": "USD"}
    for article in (f"{base}/demo", f"{base.replace('localhost', '127.0.0.1')}/demo"):
        pledge = requests.post(
            f"{base}/v1/pledges",
            json=choice | {"page_url": article},
            headers={"Idempotency-Key": article},
            timeout=60,
        ).json()
        thanks = requests.post(pledge["checkout_url"], data={"outcome": "pay"}, timeout=60)
        assert f'<a href="{article}">' in thanks.text
    requests.get(f"{base}/nothing", timeout=60)
    assert log.read_text() == banner


def test_dev_does_not_start_in_production() -> None:
    settings = {
        "MAINSTAY_ENV": "production",
        "DATABASE_URL": "postgresql://host/name",
        "MAIL_URL": "smtp://mail.example",
        "PUBLIC_URL": "https://support.paper.example",
        "SECRET_KEYS": KEYS,
    }
    assert_cli_error(run_cli("dev", **settings), "mainstay serve")


def test_make_says_that_it_installs_before_it_does() -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", "install"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert plan.index(NOTICE) < plan.index("pip install")
