"""The property names that the widget's build mangles must not be names of the browser or of the API."""

import json
import re

from playwright.sync_api import Page

from tests.browser.live_server import LiveServer
from tests.processes import ROOT

# Every property of the browser's global objects and their prototypes.
BROWSER_NAMES_JS = """() => {
  const names = new Set();
  for (const global of Object.getOwnPropertyNames(window))
    for (const owner of [window[global], window[global]?.prototype])
      if (owner instanceof Object) for (const name of Object.getOwnPropertyNames(owner)) names.add(name);
  return [...names];
}"""


def mangled_names() -> set[str]:
    """Return the names that the build mangles."""
    source = (ROOT / "widget" / "build.mjs").read_text(encoding="utf-8")
    match = re.search(r"MANGLED_PROPS = \[(.*?)\]\.flatMap", source, re.DOTALL)
    return set(re.findall(r"\w+", match[1]))


def property_names(schema: object) -> set[str]:
    """Return the name of every property in an OpenAPI document."""
    if isinstance(schema, list):
        return set().union(*map(property_names, schema))
    if not isinstance(schema, dict):
        return set()
    return {*schema.get("properties", ())}.union(*map(property_names, schema.values()))


def test_mangled_names_are_not_browser_properties(page: Page) -> None:
    page.goto("/demo")
    browser_names = set(page.evaluate(BROWSER_NAMES_JS))
    assert {"textContent", "getItem", "selectedIndex"} <= browser_names
    assert mangled_names() & browser_names == set()


def test_mangled_names_are_not_api_fields(live_server: LiveServer) -> None:
    api_names = property_names(json.loads(live_server.get_html("/openapi.json")))
    assert {"checkout_url", "cover_fees", "presets"} <= api_names
    assert mangled_names() & api_names == set()
