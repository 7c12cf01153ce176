"""Takes screenshots of every page, email and state of the support box: `make screenshots`.

They are saved below `screenshots/` as LANGUAGE/SCHEME/WIDTH/NAME.png, with a page `index.html` that shows them
side by side. Those that the README and the guides show are saved in docs/images/ too.
"""

import argparse
import html
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Error, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import account_states, box_states, page_states  # noqa: E402 - as above
from tests.browser.accounts import create_paid_pledge  # noqa: E402 - as above
from tests.browser.chromium import ARGUMENTS, find_chromium, start_playwright  # noqa: E402 - as above
from tests.browser.email_states import email_states  # noqa: E402 - as above
from tests.browser.host_site import HostSite  # noqa: E402 - as above
from tests.browser.live_server import LiveServer, run_live_server  # noqa: E402 - as above
from tests.browser.support_box import SupportBox  # noqa: E402 - as above
from tests.browser.three_currencies import CAMPAIGN_FILE  # noqa: E402 - as above
from tests.conftest import SERVER_ENV  # noqa: E402 - as above
from tests.postgres import PostgresServer  # noqa: E402 - as above

FOLDER = ROOT / "screenshots"
IMAGES = ROOT / "docs" / "images"
LANGUAGES = ("en", "ar")
WIDTHS = (1280, 390, 320)
SCHEMES = ("light", "dark")
HEIGHT = 800
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The screenshots of the guides, by their names there: language, scheme, width and name.
PICTURES = {
    "support-box.png": ("en", "light", 1280, "page-demo"),
    "box-reminder.png": ("en", "light", 390, "box-reminder_form"),
    "support-page.png": ("en", "light", 390, "page-support"),
    "support-page-arabic.png": ("ar", "light", 390, "page-support"),
    "support-page-dark.png": ("en", "dark", 390, "page-support"),
    "thank-you.png": ("en", "light", 1280, "page-thank_you"),
    "reminder-email.png": ("en", "light", 390, "email-reminder"),
    "reminder-page.png": ("en", "light", 390, "page-reminder_scheduled"),
    "account.png": ("en", "light", 1280, "account-account"),
    "cancel.png": ("en", "light", 390, "account-cancel_confirmation"),
    "receipt.png": ("en", "light", 1280, "account-receipt"),
    "not-found.png": ("en", "light", 390, "page-not_found"),
}
# What was changed last is painted, and the logo of the other colour scheme is chosen, loaded and decoded.
PAINTED = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  await frame();
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  await frame();
}"""
# A state's name, and a function that opens it in a new page.
State = tuple[str, Callable[[Page], None]]


def main() -> None:
    """Serve a new installation, open each state in each language and save the screenshots."""
    parser = argparse.ArgumentParser(
        prog="make screenshots", description="Take screenshots of every page and state."
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only states whose name has this in it")
    parser.add_argument("--guides", action="store_true", help="only states that the README and the guides show")
    parser.add_argument("--lang", choices=LANGUAGES, action="append", help="only this language")
    arguments = parser.parse_args()
    languages = arguments.lang or list(LANGUAGES)
    if not arguments.only and not arguments.lang and not arguments.guides:
        shutil.rmtree(FOLDER, ignore_errors=True)
    shown_in_guides = {(lang, state) for lang, _, _, state in PICTURES.values()}
    taken = failed = 0
    postgres = PostgresServer()
    os.environ[SERVER_ENV] = postgres.url
    with (
        tempfile.TemporaryDirectory() as name,
        ExitStack() as stack,
        start_playwright() as playwright,
    ):
        stack.callback(postgres.stop)
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        for lang in languages:
            with (
                run_live_server(f"screenshots_{lang}", Path(name)) as live_server,
                HostSite(live_server.base_url) as host_site,
            ):
                states = [
                    state
                    for state in all_states(live_server, host_site, lang)
                    if arguments.only in state[0] and (not arguments.guides or (lang, state[0]) in shown_in_guides)
                ]
                for number, (state, open_state) in enumerate(states, 1):
                    print(f"{lang} {number}/{len(states)} {state}", flush=True)  # noqa: T201 - progress of a command
                    try:
                        taken += take(browser, live_server, lang, state, open_state)
                    except (AssertionError, Error) as error:
                        failed += 1
                        print(f"  failed: {str(error).splitlines()[0]}", file=sys.stderr)  # noqa: T201 - as above
        browser.close()
    write_index()
    save_pictures()
    print(f"{taken} screenshots: {(FOLDER / 'index.html').relative_to(ROOT)}")  # noqa: T201 - as above
    if failed:
        sys.exit(f"{failed} states could not be opened.")


def all_states(live_server: LiveServer, host_site: HostSite, lang: str) -> Iterator[State]:
    """Yield every state of the pages, of the account and of the box, and every kind of email."""
    live_server.create_reminder("subscriber@example.org", lang=lang)
    live_server.run_command("campaign", "apply", str(CAMPAIGN_FILE))
    reminder_url = live_server.reminder_link_for("subscriber@example.org")

    def page_opener(open_state: Callable[[page_states.Visit], None]) -> Callable[[Page], None]:
        return lambda page: open_state(page_states.Visit(page, live_server, reminder_url, lang))

    def account_opener(open_state: Callable[[account_states.AccountPage], None]) -> Callable[[Page], None]:
        def open_account(page: Page) -> None:
            email = f"{open_state.__name__}@example.org"
            create_paid_pledge(live_server, page, email, frequency="once", amount=2500, lang=lang)
            pledge_id = create_paid_pledge(live_server, page, email, lang=lang)
            open_state(account_states.AccountPage(page, live_server, email, pledge_id, lang))

        return open_account

    def box_opener(open_state: box_states.OpenState, state: str) -> Callable[[Page], None]:
        def open_box(page: Page) -> None:
            direction = "rtl" if lang == "ar" else "ltr"
            page.goto(host_site.show(f'lang="{lang}"', lang=lang, direction=direction, is_strict=False))
            box = SupportBox(page, lang)
            box.expect_state("form")
            open_state(box)
            box.expect_state(state)

        return open_box

    for open_page, _ in page_states.STATES:
        yield f"page-{open_page.__name__}", page_opener(open_page)
    for open_account, _ in account_states.STATES:
        yield f"account-{open_account.__name__}", account_opener(open_account)
    for open_box, state in box_states.STATES:
        if state != "dismissed":
            yield f"box-{open_box.__name__}", box_opener(open_box, state)
    for name, open_email in email_states(lang):
        yield f"email-{name}", open_email


def take(
    browser: Browser, live_server: LiveServer, lang: str, state: str, open_state: Callable[[Page], None]
) -> int:
    """Open a state and save it at every width, light and dark; return the number of screenshots."""
    context = new_context(browser, live_server, lang)
    page = context.new_page()
    try:
        with live_server.paused_worker():
            open_state(page)
            # Nothing is focused in a screenshot.
            page.evaluate("() => document.activeElement?.blur()")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": HEIGHT})
                for scheme in SCHEMES:
                    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                    page.evaluate(PAINTED)
                    path = FOLDER / lang / scheme / str(width) / f"{state}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=path, full_page=True, animations="disabled")
    finally:
        context.close()
    return len(WIDTHS) * len(SCHEMES)


def new_context(browser: Browser, live_server: LiveServer, lang: str) -> BrowserContext:
    """Return a new browser profile in this language."""
    locale = {"en": "en-US", "ar": "ar-EG"}[lang]
    return browser.new_context(base_url=live_server.base_url, locale=locale, timezone_id="Europe/Amsterdam")


def write_index() -> None:
    """Write a page with every screenshot: a row for each state, a column for each width and scheme."""
    columns = [(scheme, width) for width in WIDTHS for scheme in SCHEMES]
    rows = []
    for lang in LANGUAGES:
        names = sorted({path.stem for path in (FOLDER / lang).glob("*/*/*.png")})
        for name in names:
            cells = "".join(
                f'<td><a href="{lang}/{scheme}/{width}/{name}.png"><img loading="lazy" '
                f'src="{lang}/{scheme}/{width}/{name}.png" alt="{name}, {width} px, {scheme}"></a></td>'
                for scheme, width in columns
            )
            rows.append(f"<tr><th>{html.escape(name)}<br>{lang}</th>{cells}</tr>")
    heads = "".join(f"<th>{width} px, {scheme}</th>" for scheme, width in columns)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "index.html").write_text(
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Screenshots</title>'
        "<style>body{font:14px system-ui}img{width:220px}td,th{vertical-align:top;padding:8px}</style>"
        f"<table><tr><th></th>{heads}</tr>{''.join(rows)}</table>",
        encoding="utf-8",
    )


def save_pictures() -> None:
    """Copy the screenshots that the guides show into docs/images/, compressed."""
    for name, (lang, scheme, width, state) in PICTURES.items():
        source = FOLDER / lang / scheme / str(width) / f"{state}.png"
        if source.exists():
            IMAGES.mkdir(parents=True, exist_ok=True)
            (IMAGES / name).write_bytes(repack(source.read_bytes()))


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
