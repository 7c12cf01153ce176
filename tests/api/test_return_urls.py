"""Return URLs must have a listed host."""

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.pledge import Pledge
from tests.api.client import assert_problem, count, post_pledge, update_campaign


@pytest.fixture(autouse=True)
def _listed(container: Container) -> None:
    update_campaign(container, return_hosts=["paper.example", "xn--e1afmkfd.xn--p1ai"])


@pytest.mark.parametrize(
    "url",
    [
        "https://paper.example",
        "https://paper.example/",
        "https://paper.example/thanks?from=box#top",
        "http://paper.example/thanks",
        "HTTPS://PAPER.EXAMPLE/Thanks",
        "https://paper.example:8443/thanks",
        "https://xn--e1afmkfd.xn--p1ai/",
        # Every browser opens the listed host for these.
        "https://пример.рф/",
        "https://\N{FULLWIDTH LATIN SMALL LETTER P}aper.example/",
        "https://paper\N{IDEOGRAPHIC FULL STOP}example/",
        "  https://paper.example/  ",
    ],
)
def test_return_url_to_listed_host_is_accepted(client: FlaskClient, url: str) -> None:
    assert post_pledge(client, return_url=url).status_code == 201


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://evil.example/", "return_url_not_allowed"),
        ("https://www.paper.example/", "return_url_not_allowed"),
        ("https://paper.example.evil.example/", "return_url_not_allowed"),
        ("https://evilpaper.example/", "return_url_not_allowed"),
        ("https://paper.example./", "return_url_not_allowed"),
        ("https://paper.example%00.evil.example/", "return_url_not_allowed"),
        ("https://evil.example/paper.example", "return_url_not_allowed"),
        ("https://evil.example?paper.example", "return_url_not_allowed"),
        ("https://evil.example#paper.example", "return_url_not_allowed"),
        ("https://p\N{CYRILLIC SMALL LETTER A}per.example/", "return_url_not_allowed"),
        ("https://127.0.0.1/", "return_url_not_allowed"),
        ("https://[::1]/", "return_url_not_allowed"),
        ("https://paper.example@evil.example/", "validation_failed"),
        ("https://paper.example:pw@evil.example/", "validation_failed"),
        ("https://evil.example@paper.example/", "validation_failed"),
        ("https://@paper.example/", "validation_failed"),
        ("https://evil.example\\@paper.example/", "validation_failed"),
        ("https://evil.example\\.paper.example/", "validation_failed"),
        ("https:\\\\paper.example/", "validation_failed"),
        ("https:/paper.example/", "validation_failed"),
        ("https:paper.example", "validation_failed"),
        ("//paper.example/", "validation_failed"),
        ("/thanks", "validation_failed"),
        ("javascript:alert(1)//paper.example", "validation_failed"),
        ("javascript://paper.example/%0aalert(1)", "validation_failed"),
        ("data://paper.example/", "validation_failed"),
        ("ftp://paper.example/", "validation_failed"),
        ("https://paper.example:0/", "validation_failed"),
        ("https://paper.example:99999/", "validation_failed"),
        ("https://paper.example:port/", "validation_failed"),
        ("https://paper.example/a b", "validation_failed"),
        ("https://paper.example/a\tb", "validation_failed"),
        ("https://paper.exa\nmple/", "validation_failed"),
        ("https://paper.example/\r\nSet-Cookie: a=b", "validation_failed"),
        ("https://paper.example/\0", "validation_failed"),
        ("https://paper.example/\x7f", "validation_failed"),
        ("https://paper.example/a\N{LINE SEPARATOR}b", "validation_failed"),
        ("https://paper.example/\N{NO-BREAK SPACE}x", "validation_failed"),
        ("", "validation_failed"),
        (None, "validation_failed"),
        (["https://paper.example/"], "validation_failed"),
        ("https://paper.example/" + "a" * 2048, "validation_failed"),
    ],
)
def test_return_url_to_unlisted_host_is_rejected(
    client: FlaskClient, container: Container, url: object, code: str
) -> None:
    assert_problem(post_pledge(client, return_url=url), 422, code, field="return_url")
    assert count(container, Pledge) == 0


def test_return_url_is_rejected_without_return_hosts(client: FlaskClient, container: Container) -> None:
    update_campaign(container, return_hosts=[])
    assert_problem(post_pledge(client, return_url="https://paper.example/"), 422, "return_url_not_allowed")
