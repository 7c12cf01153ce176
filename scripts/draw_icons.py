"""Draw the icons and the preview image of the pages from `icon.svg`, with Chromium."""

import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import ARGUMENTS, find_chromium, start_playwright  # noqa: E402 - needs the path above

STATIC = ROOT / "service/pages/static"
ICO_SIZE = 32
# The corners of a touch icon are rounded by the phone, so it fills its square.
PAGE = """<!doctype html><style>
html, body {{ margin: 0; block-size: 100%; background: {background}; }}
body {{ display: grid; place-items: center; }}
svg {{ inline-size: {size}px; block-size: {size}px; }}
</style>{svg}"""


def main() -> None:
    svg = (STATIC / "icon.svg").read_text(encoding="utf-8")
    full_bleed = svg.replace(' rx="7"', "")
    with start_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)

        def draw(width: int, height: int, size: int, background: str, source: str) -> bytes:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_content(PAGE.format(background=background, size=size, svg=source))
            picture = page.screenshot(omit_background=background == "transparent")
            page.close()
            return picture

        (STATIC / "apple-touch-icon.png").write_bytes(draw(180, 180, 180, "#0f5c4e", full_bleed))
        (STATIC / "preview.png").write_bytes(draw(1200, 630, 420, "#0f5c4e", full_bleed))
        icon = draw(ICO_SIZE, ICO_SIZE, ICO_SIZE, "transparent", svg)
        browser.close()
    header = struct.pack("<HHH", 0, 1, 1)
    entry = struct.pack("<BBBBHHII", ICO_SIZE, ICO_SIZE, 0, 0, 1, 32, len(icon), 22)
    (STATIC / "favicon.ico").write_bytes(header + entry + icon)


if __name__ == "__main__":
    main()
