"""Accessibility checks for every page state: axe-core, no horizontal scrolling, and minimum target sizes."""

from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "widget/node_modules/axe-core/axe.min.js"
CHECKS_JS = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
COLOR_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PHONE, DESKTOP = 320, 1000
HEIGHT = 800
# In the language that is written from right to left, the narrow page shows what the wide one does.
WIDTHS = {"en": (DESKTOP, PHONE), "ar": (PHONE,)}


def evaluate_check(page: Page, check: str) -> Any:
    """Run one of the checks in accessibility.js; return its failures or measurements."""
    return page.evaluate(CHECKS_JS, check)


def check_page(
    page: Page, state: str, *, widths: tuple[int, ...] = (DESKTOP, PHONE), ignored_rules: tuple[str, ...] = ()
) -> None:
    """Assert that the page passes every check, in light and dark, at these widths."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    failures: list[str] = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        found = evaluate_check(page, "tooWide") + evaluate_check(page, "smallTargets")
        for scheme in COLOR_SCHEMES:
            page.emulate_media(color_scheme=scheme)
            violations = evaluate_check(page, "violations")
            found += [
                f"{scheme}: {violation}" for violation in violations if not violation.startswith(ignored_rules)
            ]
        failures += [f"{width} px: {failure}" for failure in found]
    assert failures == [], f"{state}:\n" + "\n".join(failures)
