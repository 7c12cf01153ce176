"""What is held against every state of every page: axe-core's rules, the width of a phone, the size of a thumb."""

from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "widget/node_modules/axe-core/axe.min.js"
CHECKS_JS = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
COLOR_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PHONE, DESK = 320, 1000
HEIGHT = 800


def evaluate_check(page: Page, question: str) -> Any:
    """Return the page's answer to one of the questions in inspection.js."""
    return page.evaluate(CHECKS_JS, question)


def check_page(page: Page, state: str, *, but: tuple[str, ...] = ()) -> None:
    """Hold what is shown now against every rule `but` those, light and dark, on a phone and on a desk."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    faults: list[str] = []
    for width in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        found = evaluate_check(page, "tooWide") + evaluate_check(page, "smallTargets")
        for scheme in COLOR_SCHEMES:
            page.emulate_media(color_scheme=scheme)
            violations = evaluate_check(page, "violations")
            found += [f"{scheme}: {violation}" for violation in violations if not violation.startswith(but)]
        faults += [f"{width} px: {fault}" for fault in found]
    assert faults == [], f"{state}:\n" + "\n".join(faults)
