"""One person has one identity, however their address is written; email goes to the address as typed."""

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.enums import EmailKind, ReminderStatus, SuppressionReason
from service.container import Container
from service.db.models.reminder import Reminder
from service.db.models.sign_in import SignIn
from service.db.models.supporter import Supporter
from service.domain.email.addresses import fold_address, normalise_address
from service.domain.email.suppression import suppress
from tests.api.client import auth_headers, count, only_reminder, pay_pledge, post_pledge, post_reminder
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders, without_sending_hours

SAME = [
    ("Jane.Doe@example.org", "jane.doe@example.org"),
    ("jane.doe@example.org", "JANE.DOE@EXAMPLE.ORG"),
    ("Jürgen@bücher.example", "JÜRGEN@xn--bcher-kva.example"),
    ("ju\N{COMBINING DIAERESIS}rgen@BÜCHER.example", "Jürgen@XN--BCHER-KVA.example"),
    ("Straße@example.org", "STRASSE@example.org"),
    ("ΟΔΥΣΣΕΥΣ@example.org", "οδυσσευς@example.org"),
    ("Читатель@пример.рф", "читатель@XN--E1AFMKFD.xn--p1ai"),
]
DIFFERENT = [
    ("jane.doe@example.org", "janedoe@example.org"),
    ("jane@example.org", "jane+paper@example.org"),
    ("jane@example.org", "jane@example.com"),
    ("jane@faß.example", "jane@fass.example"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_person_have_one_supporter_and_one_reminder(
    client: FlaskClient, container: Container, one: str, other: str
) -> None:
    for address in (one, other, one):
        assert post_reminder(client, email=address).status_code == 201
        pay_pledge(container, post_pledge(client).json["id"], email=address)
    assert count(container, Supporter) == count(container, Reminder) == 1
    with container.database.read_only() as session:
        assert session.scalar(select(Supporter.email)) == normalise_address(one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_dots_and_plus_tell_people_apart(client: FlaskClient, container: Container, one: str, other: str) -> None:
    post_reminder(client, email=one)
    post_reminder(client, email=other)
    assert count(container, Supporter) == count(container, Reminder) == 2


@pytest.mark.parametrize(("one", "other"), SAME)
def test_gift_under_another_spelling_stops_the_reminder(
    client: FlaskClient, container: Container, clock: FakeClock, one: str, other: str
) -> None:
    post_reminder(client, email=one)
    clock.advance(days=1)
    pay_pledge(container, post_pledge(client).json["id"], email=other)
    clock.advance(days=60)
    mailer = FakeMailer()
    run_send_reminders(without_sending_hours(container), mailer)
    assert [email.kind for email in mailer.sent] == [EmailKind.RECEIPT]
    assert only_reminder(container).status == ReminderStatus.SKIPPED


@pytest.mark.parametrize(("one", "other"), SAME)
def test_sign_in_under_another_spelling_finds_the_supporter(
    client: FlaskClient, container: Container, one: str, other: str
) -> None:
    pay_pledge(container, post_pledge(client).json["id"], email=one)
    client.post("/me", data={"email": other})
    with container.database.read_only() as session:
        assert session.scalars(select(SignIn.supporter_id)).all() == session.scalars(select(Supporter.id)).all()


@pytest.mark.parametrize(("one", "other"), SAME)
def test_erasure_under_another_spelling_finds_the_supporter(
    client: FlaskClient, container: Container, one: str, other: str
) -> None:
    post_reminder(client, email=one)
    pay_pledge(container, post_pledge(client).json["id"], email=one)
    headers = auth_headers(container, "manage")
    answer = client.post("/v1/admin/erasures", json={"email": other}, headers=headers).json
    assert (answer["pledges"], answer["reminders"], answer["found"]) == (1, 1, True)
    assert count(container, Supporter) == 0


def test_erasure_that_finds_nobody_says_so(client: FlaskClient, container: Container) -> None:
    post_reminder(client, email="jane@example.org")
    headers = auth_headers(container, "manage")
    answer = client.post("/v1/admin/erasures", json={"email": "jane+other@example.org"}, headers=headers)
    assert answer.status_code == 200
    assert (answer.json["pledges"], answer.json["reminders"], answer.json["found"]) == (0, 0, False)
    assert "no supporter" in answer.json["message"].lower()
    assert count(container, Supporter) == 1


@pytest.mark.parametrize(("one", "other"), SAME)
def test_suppression_of_another_spelling_holds(
    client: FlaskClient, container: Container, clock: FakeClock, one: str, other: str
) -> None:
    with container.database.transaction() as session:
        suppress(session, normalise_address(other), reason=SuppressionReason.HARD_BOUNCE, now=clock())
    post_reminder(client, email=one)
    clock.advance(days=60)
    mailer = FakeMailer()
    run_send_reminders(without_sending_hours(container), mailer)
    assert mailer.sent == []


def test_email_goes_to_the_address_as_typed(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    post_reminder(client, email="Jane.Doe@Example.org")
    post_reminder(client, email="JANE.DOE@example.org")
    clock.advance(days=60)
    mailer = FakeMailer()
    run_send_reminders(without_sending_hours(container), mailer)
    assert mailer.addresses == ["Jane.Doe@example.org"]


@given(local=st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=12))
def test_folding_twice_changes_nothing(local: str) -> None:
    folded = fold_address(f"{local}@example.org")
    assert fold_address(folded) == folded
