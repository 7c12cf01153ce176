"""Takes the screenshot in the README: the demo article, with the support box under it.

Run it from the checkout with `.venv/bin/python scripts/take_screenshots.py` after the box or the pages changed.
"""

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import ARGUMENTS, find_chromium, start_playwright  # noqa: E402 - as above
from tests.browser.support_box import SupportBox  # noqa: E402 - as above
from tests.processes import environment, web  # noqa: E402 - as above

SCREENSHOT = ROOT / "docs" / "images" / "support-box.png"
# The article's column with a margin, rendered 1200 pixels wide for high-density screens.
WIDTH, SCALE = 800, 1.5
# The screenshot begins at the end of the article, to show where the box is.
FIRST_VISIBLE = "article > p >> nth=-2"
# Less than the space between two paragraphs, so that no paragraph is cut.
MARGIN = 16
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def main() -> None:
    """Serve the demo, open it and save the screenshot."""
    with tempfile.TemporaryDirectory() as name, start_playwright() as playwright:
        folder = Path(name)
        database_url = f"sqlite:///{folder / 'mainstay.db'}"
        migrate = [sys.executable, "-m", "service", "migrate"]
        subprocess.run(migrate, cwd=ROOT, env=environment(database_url), check=True)  # noqa: S603 - a fixed command
        with web(database_url, folder / "web.log") as base:
            browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
            take_screenshot(browser, base)
            browser.close()
    print(f"{SCREENSHOT.relative_to(ROOT)}: {SCREENSHOT.stat().st_size // 1024} KB")  # noqa: T201 - a command prints its result


def take_screenshot(browser: Browser, base: str) -> None:
    """Save a screenshot of the end of the article and the box, with $2 a month selected."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": 900},
        device_scale_factor=SCALE,
        color_scheme="light",
        reduced_motion="reduce",
        locale="en-US",
    )
    page.goto(f"{base}/demo")
    box = SupportBox(page)
    box.expect_state("form")
    two_dollars = box.host.get_by_role("radio", name="$2", exact=True)
    two_dollars.check()
    # Nothing is focused in the screenshot.
    two_dollars.blur()
    first, last = page.locator(FIRST_VISIBLE).bounding_box(), box.frame.bounding_box()
    if first is None or last is None:
        raise RuntimeError("the demo has no article, or no box under it")
    # Bounding boxes are relative to the viewport; the screenshot is clipped from the whole page.
    scrolled = page.evaluate("() => scrollY")
    top, bottom = first["y"] + scrolled - MARGIN, last["y"] + last["height"] + scrolled + MARGIN
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
    clip = {"x": 0, "y": top, "width": WIDTH, "height": bottom - top}
    SCREENSHOT.write_bytes(repack(page.screenshot(full_page=True, clip=clip)))


def repack(png: bytes) -> bytes:
    """Return the same image in fewer bytes: browsers compress for speed (PNG, sections 5.3 and 10)."""
    chunks, at = [], len(SIGNATURE)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    [header, end] = [data for kind, data in chunks if kind in (b"IHDR", b"IEND")]
    packed = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", end)]
    return SIGNATURE + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in packed
    )


if __name__ == "__main__":
    main()
