"""Encryption at rest: addresses are never stored in plain text, and values decrypt only in their own column."""

import csv
import hmac
import io

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import LargeBinary, func, select, text, type_coerce, update

from service.container import Container
from service.db.keyring import DecryptionError, Key, Keyring
from service.db.models.email import DevOutboxEmail
from service.db.models.reminder import Reminder
from service.db.models.supporter import EMAIL_TYPE, Supporter
from service.domain.pledges.export import write_export
from service.domain.pledges.queries import PledgeFilter, stream_pledges
from service.domain.reminders.self_service import get_reminder_by_token, reminder_token
from service.domain.supporters import erase_supporter
from tests.conftest import settings_for
from tests.db.factories import count_rows, create_paid_pledge, create_reminder, encrypted_emails

ADDRESS = "Anna.Reader@news.example"
OLD, NEW = "old-key-0123456789-0123456789-012", "new-key-0123456789-0123456789-012"


def database_dump(container: Container) -> str:
    """Return every byte of every row as PostgreSQL itself shows it, with binary columns as hex and as text."""
    with container.database.read_only() as session:
        tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        rows = [session.scalars(text(f'SELECT row_to_json(t)::text FROM "{table}" t')).all() for table in tables]
        raw = session.scalars(text("SELECT encode(email, 'escape') FROM supporters")).all()
    return "\n".join(line for lines in (*rows, raw) for line in lines)


def test_address_is_never_stored_in_plain_text(container: Container) -> None:
    create_reminder(container, ADDRESS, page_url="https://paper.example/a")
    create_paid_pledge(container, ADDRESS)
    stored = database_dump(container).lower()
    assert "paper.example" in stored
    for fragment in (ADDRESS, "anna.reader", "news.example"):
        assert fragment.lower() not in stored
        assert fragment.lower().encode().hex() not in stored
        assert fragment.encode().hex() not in stored


def test_equal_addresses_share_one_supporter_and_have_different_ciphertexts(container: Container) -> None:
    create_reminder(container, f"  {ADDRESS.replace('news', 'NEWS')} ")
    create_paid_pledge(container, ADDRESS)
    with container.database.transaction() as session:
        assert count_rows(session, Supporter) == 1
        (before,) = encrypted_emails(session).values()
        session.execute(update(Supporter).values(email=ADDRESS))
        (after,) = encrypted_emails(session).values()
    assert before != after


def test_international_domain_is_stored_in_ascii(any_database: Container) -> None:
    create_reminder(any_database, "leser@BÜCHER.example")
    with any_database.database.read_only() as session:
        assert session.scalar(select(Supporter.email)) == "leser@xn--bcher-kva.example"


def test_value_copied_to_another_column_does_not_decrypt(any_database: Container) -> None:
    create_reminder(any_database, ADDRESS)
    with any_database.database.transaction() as session:
        (copied,) = encrypted_emails(session).values()
        session.execute(
            text(
                "INSERT INTO dev_outbox (id, message_id, recipient_hash, message, sent_at) "
                "SELECT id, 'm', email_hash, email, created_at FROM supporters"
            )
        )
        assert session.scalar(select(type_coerce(DevOutboxEmail.message, LargeBinary))) == copied
        with pytest.raises(DecryptionError):
            session.scalar(select(DevOutboxEmail.message))


@given(data=st.data(), message=st.text(max_size=60))
def test_altered_ciphertext_does_not_decrypt(data: st.DataObject, message: str) -> None:
    keyring = Keyring((OLD,))
    ciphertext = keyring.encrypt(message.encode(), context=b"c")
    assert keyring.decrypt(ciphertext, context=b"c").decode() == message
    position = data.draw(st.integers(0, len(ciphertext) - 1), label="position")
    bit = data.draw(st.sampled_from([1 << n for n in range(8)]), label="bit")
    altered = ciphertext[:position] + bytes([ciphertext[position] ^ bit]) + ciphertext[position + 1 :]
    with pytest.raises(DecryptionError):
        keyring.decrypt(altered, context=b"c")


def test_truncated_ciphertext_does_not_decrypt() -> None:
    keyring = Keyring((OLD,))
    ciphertext = keyring.encrypt(b"a@reader.example", context=b"c")
    for length in range(len(ciphertext)):
        with pytest.raises(DecryptionError):
            keyring.decrypt(ciphertext[:length], context=b"c")


def test_hashing_and_signing_keys_of_a_secret_differ() -> None:
    keyring = Keyring((OLD,))
    (signing,) = keyring.signing_keys
    assert keyring.lookup_hash("text") != hmac.digest(signing, b"text", "sha256")


def container_with(make_container, url: str, keys: str) -> Container:
    return make_container(settings_for(url, SECRET_KEYS=keys))


def test_rows_and_links_of_old_key_work_after_rotation(url: str, make_container) -> None:
    before = container_with(make_container, url, OLD)
    reminder_id = create_reminder(before, ADDRESS)
    with before.database.read_only() as session:
        token = reminder_token(before.database.keyring, session.get_one(Reminder, reminder_id))
    after = container_with(make_container, url, f"{NEW},{OLD}")
    with after.database.read_only() as session:
        assert session.scalar(select(Supporter.email)) == ADDRESS
        assert get_reminder_by_token(session, token, now=after.clock()).id == reminder_id
    assert create_reminder(after, ADDRESS) == reminder_id
    with after.database.read_only() as session:
        assert count_rows(session, Supporter) == 1


def test_removed_key_affects_only_its_own_rows(url: str, make_container) -> None:
    create_reminder(container_with(make_container, url, OLD), ADDRESS)
    after = container_with(make_container, url, NEW)
    create_reminder(after, "b@reader.example")
    with after.database.read_only() as session:
        undecryptable, decryptable = session.scalars(select(Supporter.id).order_by(Supporter.id))
        assert session.scalar(select(Supporter.email).where(Supporter.id == decryptable)) == "b@reader.example"
        with pytest.raises(DecryptionError, match="no key of SECRET_KEYS"):
            session.scalar(select(Supporter.email).where(Supporter.id == undecryptable))


def test_export_continues_past_undecryptable_address(url: str, make_container) -> None:
    create_paid_pledge(container_with(make_container, url, OLD), ADDRESS)
    after = container_with(make_container, url, NEW)
    create_paid_pledge(after, "b@reader.example")
    with after.database.read_only() as session:
        file = b"".join(write_export("csv", stream_pledges(session, PledgeFilter()), bom=False)).decode()
    rows = list(csv.DictReader(io.StringIO(file)))
    assert [row["email"] for row in rows] == ["(no key opens this address)", "b@reader.example"]


def test_supporter_with_undecryptable_address_can_create_reminder_and_be_erased(any_database: Container) -> None:
    reminder_id = create_reminder(any_database, ADDRESS)
    broken = type_coerce(func.substr(type_coerce(Supporter.email, LargeBinary), 1, 20), EMAIL_TYPE)
    with any_database.database.transaction() as session:
        session.execute(update(Supporter).values(email=broken))
    assert create_reminder(any_database, ADDRESS) == reminder_id
    with any_database.database.transaction() as session:
        erased = erase_supporter(session, ADDRESS, now=any_database.clock())
        assert (erased.pledges, erased.reminders) == (0, 1)
        assert count_rows(session, Supporter) == 0


def test_repr_shows_no_key() -> None:
    cipher = AESGCM(b"c" * 32)
    key = Key(id=b"name", cipher=cipher, hashing=b"h" * 32, signing=b"s" * 32)
    for secret in (cipher, key.hashing, key.signing):
        assert repr(secret) not in repr(key)
    assert "a-secret" not in repr(Keyring(("a-secret",)))
