"""The widget's file and the pages' own, as browsers and caches meet them."""

import gzip
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import service.pages.static_files

WIDGET = "/widget/v1.js"
STATIC = Path(service.pages.static_files.__file__).with_name("static")


def test_the_widget_may_be_embedded_anywhere(client: FlaskClient) -> None:
    response = client.get(WIDGET)
    assert response.status_code == 200
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "public, max-age=300, stale-while-revalidate=86400"
    assert response.data == (STATIC / "v1.js").read_bytes()


def test_the_widget_comes_compressed_to_who_can_read_that(client: FlaskClient) -> None:
    plain = client.get(WIDGET)
    zipped = client.get(WIDGET, headers={"Accept-Encoding": "gzip, deflate, br"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert len(zipped.data) <= 8 * 1024
    assert plain.headers["ETag"] != zipped.headers["ETag"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert client.get(WIDGET, headers={"Accept-Encoding": "gzip;q=0"}).data == plain.data


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_widget_is_not_sent_again_to_who_has_it(client: FlaskClient, encoding: str) -> None:
    headers = {"Accept-Encoding": encoding}
    etag = client.get(WIDGET, headers=headers).headers["ETag"]
    again = client.get(WIDGET, headers=headers | {"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert client.get(WIDGET, headers=headers | {"If-None-Match": '"another"'}).status_code == 200


def test_a_pages_files_are_kept_for_a_year_under_an_address_that_changes_with_them(client: FlaskClient) -> None:
    page = client.get("/support/default").text
    found = re.findall(r'"(/static/[^"]+)"', page)
    assert len(found) == 2
    for address in found:
        response = client.get(address)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/pages.css").headers["Cache-Control"] == "no-cache"
    assert client.get("/static/pages.css?v=older").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["v1.js", "..%2Fdemo.py", "../demo.py", "nothing.css", "%00"])
def test_nothing_else_is_handed_out(client: FlaskClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404
