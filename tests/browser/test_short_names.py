"""The built widget says its own names short, which must not touch a name that means something to somebody else."""

import json
import re

from playwright.sync_api import Page

from tests.browser.live_server import LiveServer
from tests.processes import ROOT

# Every property that the browser's own objects, and what they make, are known by.
OF_THE_BROWSER = """() => {
  const names = new Set();
  for (const global of Object.getOwnPropertyNames(window))
    for (const owner of [window[global], window[global]?.prototype])
      if (owner instanceof Object) for (const name of Object.getOwnPropertyNames(owner)) names.add(name);
  return [...names];
}"""


def our_names() -> set[str]:
    """Return the names that the build shortens."""
    source = (ROOT / "widget" / "build.mjs").read_text(encoding="utf-8")
    listed = re.search(r"MANGLED_PROPS = \[(.*?)\]\.flatMap", source, re.DOTALL)
    return set(re.findall(r"\w+", listed[1]))


def names_in(described: object) -> set[str]:
    """Return the name of every property in a description of what is sent."""
    if isinstance(described, list):
        return set().union(*map(names_in, described))
    if not isinstance(described, dict):
        return set()
    return {*described.get("properties", ())}.union(*map(names_in, described.values()))


def test_no_name_that_the_widget_says_short_is_the_browsers(page: Page) -> None:
    page.goto("/demo")
    of_the_browser = set(page.evaluate(OF_THE_BROWSER))
    assert {"textContent", "getItem", "selectedIndex"} <= of_the_browser
    assert our_names() & of_the_browser == set()


def test_no_name_that_the_widget_says_short_is_on_the_wire(live_server: LiveServer) -> None:
    on_the_wire = names_in(json.loads(live_server.read("/openapi.json")))
    assert {"checkout_url", "cover_fees", "presets"} <= on_the_wire
    assert our_names() & on_the_wire == set()
