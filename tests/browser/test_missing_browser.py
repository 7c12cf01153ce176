"""Without a browser the run fails, with instructions, and skips nothing."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from tests.browser import chromium


def test_missing_browser_raises_with_install_instructions(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    missing = tmp_path / "chrome"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "MACOS", missing)
    playwright = Mock(chromium=SimpleNamespace(executable_path=str(missing)))
    with pytest.raises(chromium.ChromiumIsMissing, match="Debian: sudo apt-get install chromium"):
        chromium.find_chromium(playwright)
    missing.touch()
    assert chromium.find_chromium(playwright) == str(missing)
