"""Compares the script time of a page with the support box to that of a page with an empty custom element."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, expect

from benchmarks.database import BenchmarkDatabase
from tests.browser.chromium import ARGUMENTS, find_chromium, start_playwright
from tests.processes import web

# How many times slower than this machine the processor is.
THROTTLE = 4
BASELINE = "baseline, an empty element"
EMPTY = '<script type="module">customElements.define("support-box", class extends HTMLElement {})</script>'
SCRIPT = '<script type="module" src="/widget/v1.js"></script>'
PAGE = """<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><title>Article</title>
{script}
<p>Article</p><support-box {attributes}><a href="/support/default">Support us</a></support-box>"""
# By name: the script, the attributes of the box, and what is there once it is ready.
PAGES: Mapping[str, tuple[str, str, str]] = {
    BASELINE: (EMPTY, "", "support-box:defined"),
    "ours, in the page": (SCRIPT, "", "[data-state=form]"),
    "ours, a banner": (SCRIPT, 'placement="banner"', "[data-state=form]"),
    "ours, a dialog that is not due": (SCRIPT, 'placement="dialog"', "support-box:defined"),
}


def run(databases: BenchmarkDatabase, *, loads: int) -> str:
    """Load each page `loads` times in Chromium; return the figures."""
    figures: dict[str, list[float]] = {name: [] for name in PAGES}
    with (
        TemporaryDirectory(prefix="mainstay-bench-") as folder,
        web(databases.database("box"), Path(folder) / "web.log") as base,
        start_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        # In alternating rounds, so that other load on the machine affects all alike.
        for _ in range(loads):
            for name, times in figures.items():
                times.append(_measure(browser, base, *PAGES[name]))
        version = browser.version
        browser.close()
    title = f"script time, Chromium {version}, {THROTTLE} × slower"
    lines = [f"{title:50}{'ms':>8}{'least':>8}{'most':>8}   × the baseline"]
    # Ratios of medians, because a single load of the empty element is too short to divide by.
    baseline = statistics.median(figures[BASELINE])
    for name, times in figures.items():
        median = statistics.median(times)
        lines.append(f"{name:50}{median:>8.1f}{min(times):>8.1f}{max(times):>8.1f}   {median / baseline:.1f}")
    return "\n".join(lines)


def _measure(browser: Browser, base: str, script: str, attributes: str, ready: str) -> float:
    """Return how long the scripts of one load ran, in milliseconds."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    html = PAGE.format(script=script, attributes=attributes)
    page.route("**/measured", lambda route: route.fulfill(body=html, content_type="text/html"))
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    page.goto(f"{base}/measured")
    page.wait_for_load_state("networkidle")
    expect(page.locator(ready)).to_have_count(1, timeout=60_000)
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    return float(metrics["ScriptDuration"]) * 1000
