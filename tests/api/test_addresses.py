"""Email addresses: normalisation to one supporter, and rejection of undeliverable ones."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.container import Container
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from tests.api.client import assert_problem, count, post_reminder


@pytest.mark.parametrize(
    "written",
    [
        "reader@EXAMPLE.org",
        "  reader@example.org\t",
        "reader@Example.ORG ",
        "reader@example.org\N{NO-BREAK SPACE}",
        "reader@\N{FULLWIDTH LATIN SMALL LETTER E}xample.org",
    ],
)
def test_address_variants_belong_to_one_supporter(client: FlaskClient, container: Container, written: str) -> None:
    assert post_reminder(client).status_code == post_reminder(client, email=written).status_code == 201
    assert count(container, Reminder) == count(container, Supporter) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("reader@bücher.example", "reader@xn--bcher-kva.example"),
        ("reader@BÜCHER.example", "reader@bu\N{COMBINING DIAERESIS}cher.example"),
        ("читатель@пример.рф", "читатель@xn--e1afmkfd.xn--p1ai"),
        ("r\N{LATIN SMALL LETTER E WITH ACUTE}ader@example.org", "re\N{COMBINING ACUTE ACCENT}ader@example.org"),
    ],
)
def test_international_address_is_normalised(
    client: FlaskClient, container: Container, one: str, other: str
) -> None:
    assert post_reminder(client, email=one).status_code == post_reminder(client, email=other).status_code == 201
    assert count(container, Supporter) == 1
    with container.database.read_only() as session:
        domain = session.scalars(select(Supporter)).one().email.rpartition("@")[2]
        assert domain.isascii()
        assert domain == domain.lower()


@pytest.mark.parametrize("one", ["a.b@example.org", "ab@example.org", "a+b@example.org"])
def test_dots_and_plus_of_the_local_part_are_not_normalised(
    client: FlaskClient, container: Container, one: str
) -> None:
    post_reminder(client, email="a@example.org")
    post_reminder(client, email=one)
    assert count(container, Supporter) == 2


@pytest.mark.parametrize(
    "address",
    [
        "reader",
        "@paper.example",
        "reader@",
        "reader@localhost",
        "reader@@example.org",
        "reader@example..org",
        "reader@-example.org",
        "reader@example.org-",
        "reader@example",
        ".reader@example.org",
        "reader.@example.org",
        "re..ader@example.org",
        "re ader@example.org",
        "reader@exa mple.org",
        "Reader <reader@example.org>",
        "<reader@example.org>",
        "reader@example.org, other@example.org",
        "reader@example.org;other@example.org",
        "reader@[127.0.0.1]",
        "reader@127.0.0.1",
        "reader@example.org\N{ZERO WIDTH SPACE}",
        "reader@ex\N{RIGHT-TO-LEFT OVERRIDE}ample.org",
        "mailto:reader@example.org?bcc=other@example.org",
        "a" * 65 + "@example.org",
        "reader@" + "a" * 64 + ".org",
        "reader@" + ".".join(["a" * 60] * 5) + ".org",
        '"reader"@example.org',
        "reader@xn--.example",
        "reader@example.org.",
        "💩",
    ],
)
def test_undeliverable_address_is_rejected(client: FlaskClient, container: Container, address: str) -> None:
    problem = assert_problem(post_reminder(client, email=address), 422, "invalid_email", field="email")
    assert address not in str(problem)
    assert count(container, Reminder) == count(container, Supporter) == 0


@pytest.mark.parametrize(
    "address",
    [
        "reader@example.org\nBcc: x@example.org",
        "a\0b@example.org",
        "a\rb@example.org",
        "\ud800@example.org",
        "",
        " ",
    ],
)
def test_address_with_header_injection_is_rejected(
    client: FlaskClient, container: Container, address: str
) -> None:
    assert_problem(post_reminder(client, email=address), 422, "validation_failed", field="email")
    assert count(container, Supporter) == 0
