"""A machine without a browser is told what to install; its run fails and does not pass by skipping."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from tests.browser import chromium


def test_without_a_browser_the_run_fails_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    nowhere = tmp_path / "chrome"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "MACOS", nowhere)
    playwright = Mock(chromium=SimpleNamespace(executable_path=str(nowhere)))
    with pytest.raises(chromium.ChromiumIsMissing, match="Debian: sudo apt-get install chromium"):
        chromium.find_chromium(playwright)
    nowhere.touch()
    assert chromium.find_chromium(playwright) == str(nowhere)
