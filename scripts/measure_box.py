"""Measure the box of a running service in Chromium: script time at 4 × throttle, beside an empty custom element.

Usage: `mainstay dev` in another terminal, then `python scripts/measure_box.py http://localhost:8000`.
"""

import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import ARGUMENTS, find_chromium, start_playwright  # noqa: E402 - needs the path above

LOADS = 9
THROTTLE = 4
EMPTY = '<script type="module">customElements.define("support-box", class extends HTMLElement {})</script>'
SCRIPT = '<script type="module" src="/widget/v1.js"></script>'
# By name: the script, and the attributes of the box.
PAGES = {
    "empty element": (EMPTY, ""),
    "inline": (SCRIPT, ""),
    "banner": (SCRIPT, 'placement="banner"'),
    "dialog, not due": (SCRIPT, 'placement="dialog"'),
}
PAGE = """<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><title>Article</title>
{script}
<p>Article</p><support-box {attributes}><a href="/support/default">Support us</a></support-box>"""


def measure(browser: Browser, url: str, name: str) -> float:
    """Return how long the scripts of one load took, in milliseconds."""
    script, attributes = PAGES[name]
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    html = PAGE.format(script=script, attributes=attributes)
    page.route("**/measured", lambda route: route.fulfill(body=html, content_type="text/html"))
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    page.goto(f"{url}/measured")
    page.wait_for_load_state("networkidle")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    return metrics["ScriptDuration"] * 1000


def main(url: str) -> None:
    figures: dict[str, list[float]] = {name: [] for name in PAGES}
    with start_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        # In turn, so that whatever else the machine does meets every page.
        for _ in range(LOADS):
            for name, times in figures.items():
                times.append(measure(browser, url, name))
        browser.close()
    baseline = statistics.median(figures["empty element"])
    for name, times in figures.items():
        median = statistics.median(times)
        ratio = f"{median / baseline:.1f} × the empty element"
        line = f"{name:16} median {median:6.1f} ms, least {min(times):6.1f} ms, {ratio}"
        print(line)  # noqa: T201 - output of a command


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
