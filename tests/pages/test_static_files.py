"""Static files: content types, compression and cache headers."""

import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import service.pages.static_files
from service.pages.static_files import pinned_script
from tests.processes import ROOT

WIDGET = "/widget/v1.js"
STATIC = Path(service.pages.static_files.__file__).with_name("static")


def test_widget_allows_any_origin(client: FlaskClient) -> None:
    response = client.get(WIDGET)
    assert response.status_code == 200
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "public, max-age=300, stale-while-revalidate=86400"
    assert response.data == (STATIC / "v1.js").read_bytes()


def test_widget_is_compressed_if_the_client_accepts_gzip(client: FlaskClient) -> None:
    plain = client.get(WIDGET)
    gzipped = client.get(WIDGET, headers={"Accept-Encoding": "gzip, deflate, br"})
    assert "Content-Encoding" not in plain.headers
    assert gzipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(gzipped.data) == plain.data
    assert len(gzipped.data) <= 8 * 1024
    assert plain.headers["ETag"] != gzipped.headers["ETag"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert client.get(WIDGET, headers={"Accept-Encoding": "gzip;q=0"}).data == plain.data


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_widget_with_matching_etag_is_not_modified(client: FlaskClient, encoding: str) -> None:
    headers = {"Accept-Encoding": encoding}
    etag = client.get(WIDGET, headers=headers).headers["ETag"]
    again = client.get(WIDGET, headers=headers | {"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert client.get(WIDGET, headers=headers | {"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize("name", ["checkout-1.js", "offers-1.js", "reminder-1.js"])
def test_script_names_the_current_hash_of_each_part(client: FlaskClient, name: str) -> None:
    part, current = STATIC / name, hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:16]
    assert current in client.get(WIDGET).text
    response = client.get(f"/widget/{name}?v={current}")
    assert (response.status_code, response.data) == (200, part.read_bytes())
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("query", ["", "?v=0123456789abcdef", "?v=", "?v=0123456789abcdef&1"])
def test_script_of_another_build_gets_the_current_part_for_a_short_time(client: FlaskClient, query: str) -> None:
    # An older script may be in a cache, and two releases may run side by side during a deployment.
    response = client.get(f"/widget/reminder-1.js{query}")
    assert (response.status_code, response.data) == (200, (STATIC / "reminder-1.js").read_bytes())
    assert response.headers["Cache-Control"] == "public, max-age=300, stale-while-revalidate=86400"


@pytest.mark.parametrize("name", ["none.js", "pages.css", "icon.svg", "reminder.js", "..%2Fv1.js"])
def test_other_names_are_no_scripts_of_the_widget(client: FlaskClient, name: str) -> None:
    assert client.get(f"/widget/{name}").status_code == 404


def test_pinned_build_is_immutable_and_has_the_hash_that_the_snippet_names(client: FlaskClient) -> None:
    script = pinned_script("https://support.paper.example")
    match = re.fullmatch(
        r'<script type="module" src="https://support\.paper\.example(/widget/1/[0-9a-f]{16}\.js)" '
        r'integrity="sha384-([A-Za-z0-9+/=]{64})" crossorigin></script>',
        script,
    )
    assert match
    response = client.get(match[1], headers={"Origin": "https://paper.example"})
    assert (response.status_code, response.data) == (200, client.get(WIDGET).data)
    assert base64.b64encode(hashlib.sha384(response.data).digest()).decode() == match[2]
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_builds_of_earlier_releases_stay(client: FlaskClient) -> None:
    released = sorted((STATIC / "released").iterdir())
    assert released
    for build in released:
        content = build.read_bytes()
        assert hashlib.sha256(content).hexdigest()[:16] == build.stem
        response = client.get(f"/widget/1/{build.stem}.js")
        assert (response.status_code, response.data) == (200, content)
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["1/0123456789abcdef", "2/{current}", "v1/{current}"])
def test_unknown_build_says_how_to_get_the_current_one(client: FlaskClient, path: str) -> None:
    current = hashlib.sha256((STATIC / "v1.js").read_bytes()).hexdigest()[:16]
    response = client.get(f"/widget/{path.format(current=current)}.js")
    assert response.status_code == 404
    assert response.content_type == "text/plain; charset=utf-8"
    assert "mainstay campaign snippet" in response.text
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "no-store"


def test_types_are_served_beside_the_script(client: FlaskClient) -> None:
    response = client.get("/widget/v1.d.ts")
    assert (response.status_code, response.content_type) == (200, "application/typescript; charset=utf-8")
    assert "interface SupportBoxElement extends HTMLElement" in response.text
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_hashed_urls_are_immutable_for_a_year(client: FlaskClient) -> None:
    page = client.get("/support/default").text
    urls = re.findall(r'"(/static/[^"]+)"', page)
    assert len(urls) == 5
    for url in urls:
        response = client.get(url)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/pages.css").headers["Cache-Control"] == "no-cache"
    assert client.get("/static/pages.css?v=older").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["v1.js", "reminder-1.js", "..%2Fdemo.py", "../demo.py", "nothing.css", "%00"])
def test_other_paths_are_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_guide_names_the_sizes_of_the_built_files() -> None:
    guide = (ROOT / "docs" / "widget.md").read_text(encoding="utf-8")
    documented = {
        name: float(size) for name, size in re.findall(r"^\| `([\w.-]+)` .* ([\d.]+) KB \|$", guide, re.M)
    }
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes(), 9)) / 1024 for name in documented}
    assert documented.keys() == {*service.pages.static_files.WIDGET_SCRIPTS, "support-page.js"}
    # The last decimal may be that of an earlier change.
    assert documented == pytest.approx(sizes, abs=0.15)
    box, everything = (
        float(re.search(rf"\| {label} \| (\d+) \|", guide)[1])
        for label in ("Mainstay's box, `v1.js`", "the box with every part")
    )
    assert box == pytest.approx(sizes["v1.js"], abs=1)
    assert everything == pytest.approx(sum(sizes.values()) - sizes["support-page.js"], abs=1)


def test_snippet_says_whether_its_build_stays_after_an_upgrade(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = (STATIC / "v1.js").read_bytes()
    monkeypatch.setattr(service.pages.static_files, "FOLDER", tmp_path)
    (tmp_path / "v1.js").write_bytes(content)
    assert not service.pages.static_files.stays_after_upgrade()
    (tmp_path / "released").mkdir()
    (tmp_path / "released" / f"{hashlib.sha256(content).hexdigest()[:16]}.js").write_bytes(content)
    assert service.pages.static_files.stays_after_upgrade()
