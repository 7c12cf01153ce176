"""Signed tokens: length, spelling, expiry and key rotation."""

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
BASE64_ALPHABET = string.ascii_letters + string.digits + "-_"


def issue(keyring: Keyring = KEYS, *, purpose: str = "reminder", seconds: int = 60) -> str:
    expires_at = NOW + datetime.timedelta(seconds=seconds)
    return issue_token(keyring, purpose=purpose, subject=SUBJECT, expires_at=expires_at)


def verify(token: str, keyring: Keyring = KEYS, *, purpose: str = "reminder") -> uuid.UUID:
    return verify_token(keyring, purpose=purpose, token=token, now=NOW)


@given(subject=st.uuids(), seconds=st.integers(0, 10**10), purpose=st.text(st.characters(codec="utf-8")))
def test_token_is_72_url_safe_characters_and_verifies_to_its_subject(
    subject: uuid.UUID, seconds: int, purpose: str
) -> None:
    expires_at = NOW + datetime.timedelta(seconds=seconds)
    token = issue_token(KEYS, purpose=purpose, subject=subject, expires_at=expires_at)
    assert len(token) == 72
    assert set(token) <= set(BASE64_ALPHABET + ".")
    assert verify_token(KEYS, purpose=purpose, token=token, now=NOW) == subject


def test_token_is_deterministic_for_subject_and_expiry() -> None:
    assert issue() == issue() != issue(seconds=61)


def test_last_character_of_a_token_has_one_spelling() -> None:
    token = issue()
    for character in set(BASE64_ALPHABET) - {token[-1]}:
        with pytest.raises(InvalidToken):
            verify(token[:-1] + character)


def test_token_expires_by_the_given_clock() -> None:
    assert verify(issue(seconds=0)) == SUBJECT
    with pytest.raises(InvalidToken):
        verify(issue(seconds=-1))


def test_older_key_still_verifies_and_a_removed_one_does_not() -> None:
    old, new = "an-old-secret-of-the-tests-0123456789", "a-new-secret-of-the-tests-0123456789"
    token = issue(Keyring((old,)))
    assert verify(token, Keyring((new, old))) == SUBJECT
    assert issue(Keyring((old, new))) == token != issue(Keyring((new, old)))
    with pytest.raises(InvalidToken):
        verify(token, Keyring((new,)))
