"""Tokens of links, alone: how long they are, how they are spelled, when they end, and which keys they prove."""

import datetime
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.db.keyring import Keyring
from service.domain.tokens import InvalidToken, issue_token, verify_token

KEYS = Keyring(("a-secret-of-the-tests-that-is-long-enough",))
NOW = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.UTC)
SUBJECT = uuid.UUID("0193f5a0-0000-7000-8000-000000000001")
OF_BASE64 = string.ascii_letters + string.digits + "-_"


def issue(keyring: Keyring = KEYS, *, purpose: str = "reminder", seconds: int = 60) -> str:
    expires_at = NOW + datetime.timedelta(seconds=seconds)
    return issue_token(keyring, purpose=purpose, subject=SUBJECT, expires_at=expires_at)


def read(token: str, keyring: Keyring = KEYS, *, purpose: str = "reminder") -> uuid.UUID:
    return verify_token(keyring, purpose=purpose, token=token, now=NOW)


@given(subject=st.uuids(), seconds=st.integers(0, 10**10), purpose=st.text(st.characters(codec="utf-8")))
def test_every_token_is_72_characters_of_an_address_and_comes_back_as_its_subject(
    subject: uuid.UUID, seconds: int, purpose: str
) -> None:
    expires_at = NOW + datetime.timedelta(seconds=seconds)
    token = issue_token(KEYS, purpose=purpose, subject=subject, expires_at=expires_at)
    assert len(token) == 72
    assert set(token) <= set(OF_BASE64 + ".")
    assert verify_token(KEYS, purpose=purpose, token=token, now=NOW) == subject


def test_the_same_subject_and_end_make_the_same_token() -> None:
    assert issue() == issue() != issue(seconds=61)


def test_no_other_last_character_spells_the_same_token() -> None:
    token = issue()
    for sign in set(OF_BASE64) - {token[-1]}:
        with pytest.raises(InvalidToken):
            read(token[:-1] + sign)


def test_a_token_ends_by_the_clock_that_is_given() -> None:
    assert read(issue(seconds=0)) == SUBJECT
    with pytest.raises(InvalidToken):
        read(issue(seconds=-1))


def test_a_key_behind_the_current_one_still_proves_and_a_dropped_one_does_not() -> None:
    old, new = "an-old-secret-of-the-tests-0123456789", "a-new-secret-of-the-tests-0123456789"
    token = issue(Keyring((old,)))
    assert read(token, Keyring((new, old))) == SUBJECT
    assert issue(Keyring((old, new))) == token != issue(Keyring((new, old)))
    with pytest.raises(InvalidToken):
        read(token, Keyring((new,)))
