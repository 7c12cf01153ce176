"""What stands against an address moves to the first key with it; what only an older key knows is counted."""

import datetime

import pytest
from click.testing import CliRunner

from schemas.enums import SuppressionReason
from service.cli import cli
from service.container import Container
from service.db.models.email import ALL_CAMPAIGNS
from service.domain.email.suppression import suppress, suppressions_for
from service.domain.privacy.key_rotation import RotationResult, rotate_keys
from tests.conftest import settings_for
from tests.db.factories import create_reminder

OLD, NEW = (f"{name}-key-0123456789-0123456789" for name in ("old", "new"))
KNOWN, UNKNOWN = "Known@news.example", "unknown@news.example"


@pytest.fixture
def with_keys(url: str, make_container):
    return lambda *keys: make_container(settings_for(url, SECRET_KEYS=",".join(keys)))


def say(
    container: Container,
    address: str,
    reason: SuppressionReason,
    *,
    scope: str = ALL_CAMPAIGNS,
    minutes: float = 0,
) -> None:
    with container.database.transaction() as session:
        now = container.clock() + datetime.timedelta(minutes=minutes)
        suppress(session, address, reason=reason, now=now, scope=scope)


def against(container: Container, address: str) -> dict[str, SuppressionReason]:
    with container.database.read_only() as session:
        return {row.scope: row.reason for row in suppressions_for(session, address)}


def rotate(container: Container) -> RotationResult:
    return rotate_keys(container.database.transaction, clock=container.clock)


def test_what_stands_against_a_reader_moves_with_their_address(with_keys) -> None:
    before = with_keys(OLD)
    create_reminder(before, KNOWN)
    say(before, KNOWN, SuppressionReason.COMPLAINT)
    say(before, KNOWN, SuppressionReason.UNSUBSCRIBE, scope="default")
    assert rotate(with_keys(NEW, OLD)) == RotationResult(rotated=1, suppressions=2)
    assert against(with_keys(NEW), KNOWN) == {
        "*": SuppressionReason.COMPLAINT,
        "default": SuppressionReason.UNSUBSCRIBE,
    }
    assert against(with_keys(OLD), KNOWN) == {}
    assert rotate(with_keys(NEW, OLD)) == RotationResult()


@pytest.mark.parametrize("stronger_under", [OLD, NEW])
def test_of_two_keys_the_stronger_word_stays(with_keys, stronger_under: str) -> None:
    create_reminder(with_keys(OLD), KNOWN)
    for key in (OLD, NEW):
        strong = key == stronger_under
        say(
            with_keys(key, OLD),
            KNOWN,
            SuppressionReason.COMPLAINT if strong else SuppressionReason.ERASURE,
            minutes=not strong,
        )
    container = with_keys(NEW, OLD)
    assert rotate(container).suppressions == 1
    assert against(with_keys(NEW), KNOWN) == {"*": SuppressionReason.COMPLAINT}


def test_what_holds_for_good_and_belongs_to_nobody_is_counted_and_left(with_keys) -> None:
    before = with_keys(OLD)
    say(before, UNKNOWN, SuppressionReason.HARD_BOUNCE)
    say(before, UNKNOWN, SuppressionReason.COMPLAINT, scope="default")
    say(before, "left@news.example", SuppressionReason.UNSUBSCRIBE)
    both = with_keys(NEW, OLD)
    say(both, "another@news.example", SuppressionReason.HARD_BOUNCE)
    for _ in range(2):
        assert rotate(both) == RotationResult(unrotatable=1)
    assert against(both, UNKNOWN) == {"*": SuppressionReason.HARD_BOUNCE, "default": SuppressionReason.COMPLAINT}


def test_the_command_says_what_is_left_and_what_to_do(
    with_keys, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = with_keys(OLD)
    create_reminder(before, KNOWN)
    for address in (KNOWN, UNKNOWN):
        say(before, address, SuppressionReason.HARD_BOUNCE)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD}")
    ended = CliRunner().invoke(cli, ["keys", "rotate"])
    assert ended.exit_code == 0, ended.output
    assert "Moved 1 suppressions" in ended.stdout
    assert "1 addresses that bounced or complained belong to nobody who is stored" in ended.stdout
    assert "keep the older keys in SECRET_KEYS, behind the first" in ended.stdout
    assert "news.example" not in ended.output
