"""What is held against every state of every page: axe-core's rules, the width of a phone, the size of a thumb."""

from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "widget/node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PHONE, DESK = 320, 1000
HEIGHT = 800

RUN_AXE = """async ([tags, within]) => {
  const { violations, passes } = await axe.run(within ?? document, {
    runOnly: { type: "tag", values: tags },
    resultTypes: ["violations"],
  });
  if (!passes.length) throw new Error("axe found nothing to look at");
  return violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map((node) => `${node.target.flat().join(" > ")} (${node.any.concat(node.all).map((check) => check.message).join("; ")})`).join(" | ")}`);
}"""

# What a thumb must hit: 44 px each way (WCAG 2.5.5). A link in a line of text is as tall as its line (the rule's own
# exception), and what is not drawn cannot be missed.
SMALL_TARGETS = """() => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap((one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
  const name = (one) => `${one.localName} "${(one.textContent || one.id).trim().slice(0, 40)}"`;
  return all(document)
    .filter((one) => one.matches("a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button]"))
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && getComputedStyle(one).display !== "inline")
    .map((one) => [one, one.closest(".well") ?? one])
    .map(([one, target]) => [one, target.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.height && (box.width < 43.9 || box.height < 43.9))
    .map(([one, box]) => `${name(one)} is ${Math.round(box.width)} x ${Math.round(box.height)} px`);
}"""

# A page that is wider than its window, and the elements that make it so.
TOO_WIDE = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const all = (root) => [...root.querySelectorAll("*")].flatMap((one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
  const wide = all(document.body).filter((one) => one.getBoundingClientRect().right > clientWidth + 0.5);
  return [`${scrollWidth} px in ${clientWidth}`, ...wide.slice(0, 5).map((one) => `${one.localName}.${one.className}`)];
}"""


def inspect(page: Page, state: str, *, within: str | None = None) -> None:
    """Hold what is shown now against every rule, light and dark, on a phone and on a desk."""
    faults: list[Any] = []
    for width in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        faults += measure(page)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            faults += [f"{scheme}, {width} px: {fault}" for fault in run_axe(page, within)]
    assert faults == [], f"{state}: " + "\n".join(faults)


def measure(page: Page) -> list[str]:
    """Return what is too wide for the window or too small for a thumb."""
    return page.evaluate(TOO_WIDE) + page.evaluate(SMALL_TARGETS)


def run_axe(page: Page, within: str | None = None) -> list[str]:
    """Return the violations that axe-core finds, in one line each."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(RUN_AXE, [TAGS, within])
