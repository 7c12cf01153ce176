"""Serve the pages' static files, and the widget that newsrooms embed."""

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

FOLDER = Path(__file__).with_name("static")
SCRIPT_TYPE = "text/javascript; charset=utf-8"
TYPES = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": SCRIPT_TYPE,
    "gallery.css": "text/css; charset=utf-8",
    "gallery.js": SCRIPT_TYPE,
    "gallery-box.js": SCRIPT_TYPE,
    "docs.css": "text/css; charset=utf-8",
    "docs.js": SCRIPT_TYPE,
    "contents.js": SCRIPT_TYPE,
    "support-page.js": SCRIPT_TYPE,
    "icon.svg": "image/svg+xml; charset=utf-8",
    "favicon.ico": "image/vnd.microsoft.icon",
    "apple-touch-icon.png": "image/png",
    "preview.png": "image/png",
}
# The widget, and the parts that it loads when a reader needs them. `make widget` builds them.
WIDGET_SCRIPTS = ("v1.js", "checkout-1.js", "offers-1.js", "placement-1.js", "reminder-1.js")
WIDGET_TYPES = "v1.d.ts"
BOX, BOX_VERSION = "v1.js", "1"
# The builds of the box that earlier releases had, by their hashes. `make widget-release` adds the present one.
RELEASED = "released"
HASH = re.compile(r"[0-9a-f]{16}")
WIDGET_CACHE = "public, max-age=300, stale-while-revalidate=86400"
# PNG is compressed as it is.
COMPRESSED = ("favicon.ico", "apple-touch-icon.png", "preview.png")
DAILY_CACHE = "public, max-age=86400"
HASHED_CACHE = "public, max-age=31536000, immutable"

# Support pages are for everyone. All other pages are one reader's, a program's or a developer's.
PRIVATE_PATHS = (
    "/me",
    "/p/",
    "/r/",
    "/support/*/thank-you",
    "/support/*/not-charged",
    "/support/*/reminder-set",
    "/sandbox/",
    "/dev/",
    "/v1/",
)
ROBOTS = "\n".join(["User-agent: *", *(f"Disallow: {path}" for path in PRIVATE_PATHS), "Allow: /support/", ""])

NO_SUCH_BUILD = (
    "This build of the support box is not served any more.\n"
    "Run 'mainstay campaign snippet' for today's address and its hash,\n"
    "or load /widget/v1.js, which is always current.\n"
)

files = Blueprint("files", __name__)


@dataclass(frozen=True)
class StaticFile:
    """A file's content, plain and compressed, with a hash of the plain content."""

    plain: bytes
    gzipped: bytes
    hash: str


def static_url(name: str) -> str:
    """Return a file's path. It changes with the content, so that browsers may cache it for a year."""
    return f"/static/{name}?v={_read(name).hash}"


@files.get("/widget/<name>")
def widget(name: str) -> Response:
    """Serve a script of the widget to any origin.

    A part's URL has the hash that its `v1.js` was built with. Any hash gets the current part, because an older
    `v1.js` may come from a cache, and web processes of two releases may run side by side.
    """
    if name == WIDGET_TYPES:
        return _share(_send(name, "application/typescript; charset=utf-8", WIDGET_CACHE))
    if name not in WIDGET_SCRIPTS:
        raise NotFound
    return _share(_send(name, SCRIPT_TYPE, HASHED_CACHE if _is_current(name) else WIDGET_CACHE))


@files.get("/widget/<version>/<build>.js")
def pinned_widget(version: str, build: str) -> Response:
    """Serve one build of the box, whose content never changes, so that a page can check it (SRI).

    Builds of earlier releases stay, and load the present parts. An unknown build gets 404 with a text for
    developers: the page shows the link inside its box.
    """
    if version == BOX_VERSION and build == _read(BOX).hash:
        return _share(_send(BOX, SCRIPT_TYPE, HASHED_CACHE))
    if version == BOX_VERSION and _is_released(build):
        return _share(_send(f"{RELEASED}/{build}.js", SCRIPT_TYPE, HASHED_CACHE))
    response = Response(NO_SUCH_BUILD, 404, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return _share(response)


def stays_after_upgrade() -> bool:
    """Whether later releases still serve the present build of the box."""
    return _is_released(_read(BOX).hash)


def _is_released(build: str) -> bool:
    return HASH.fullmatch(build) is not None and (FOLDER / RELEASED / f"{build}.js").is_file()


def pinned_script(public_url: str) -> str:
    """Return the script element of the present build, with a hash that browsers check (W3C, SRI)."""
    digest = base64.b64encode(hashlib.sha384(_read(BOX).plain).digest()).decode()
    src = f"{public_url}/widget/{BOX_VERSION}/{_read(BOX).hash}.js"
    return f'<script type="module" src="{src}" integrity="sha384-{digest}" crossorigin></script>'


def _share(response: Response) -> Response:
    """Let pages of any origin load the file. Browsers check the hash only of what they may read."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@files.get("/robots.txt")
def robots() -> Response:
    """Let search engines find the support pages, and no page of a reader (RFC 9309)."""
    response = Response(ROBOTS, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = DAILY_CACHE
    return response


@files.get("/favicon.ico")
@files.get("/apple-touch-icon.png")
def root_icon() -> Response:
    """Serve an icon where browsers and phones ask for it, whatever a page says."""
    name = request.path.lstrip("/")
    return _send(name, TYPES[name], DAILY_CACHE)


@files.get("/static/<name>")
def static_file(name: str) -> Response:
    if name not in TYPES:
        raise NotFound
    return _send(name, TYPES[name], HASHED_CACHE if _is_current(name) else "no-cache")


def _is_current(name: str) -> bool:
    """Whether the request's URL has the hash of the file's present content."""
    return request.args.get("v") == _read(name).hash


def _send(name: str, content_type: str, cache_control: str) -> Response:
    file = _read(name)
    use_gzip = request.accept_encodings["gzip"] > 0 and name not in COMPRESSED
    response = Response(file.gzipped if use_gzip else file.plain, content_type=content_type)
    if use_gzip:
        response.headers["Content-Encoding"] = "gzip"
    # The two representations differ, so each has its own strong entity tag (RFC 9110, section 8.8.3).
    response.set_etag(f"{file.hash}-gzip" if use_gzip else file.hash)
    response.headers["Cache-Control"] = cache_control
    response.vary.add("Accept-Encoding")
    response.make_conditional(request)
    return response


def _read(name: str) -> StaticFile:
    path = FOLDER / name
    return _read_version(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read_version(path: Path, _changed_at: int) -> StaticFile:
    plain = path.read_bytes()
    return StaticFile(plain, gzip.compress(plain, 9, mtime=0), hashlib.sha256(plain).hexdigest()[:16])
