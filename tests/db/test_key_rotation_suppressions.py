"""Key rotation of suppressions: they move with their supporter, and those without one are counted."""

import datetime

import pytest
from click.testing import CliRunner

from schemas.enums import SuppressionReason
from service.cli import cli
from service.container import Container
from service.db.models.email import ALL_CAMPAIGNS
from service.domain.email.suppression import suppress, suppressions_for
from service.domain.privacy.erasure import erase
from service.domain.privacy.key_rotation import RotationResult, rotate_keys
from tests.conftest import settings_for
from tests.db.factories import create_reminder

OLD, NEW = (f"{name}-key-0123456789-0123456789-0123" for name in ("old", "new"))
KNOWN, UNKNOWN = "Known@news.example", "unknown@news.example"


@pytest.fixture
def with_keys(url: str, make_container):
    return lambda *keys: make_container(settings_for(url, SECRET_KEYS=",".join(keys)))


def add_suppression(
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


def reasons_by_scope(container: Container, address: str) -> dict[str, SuppressionReason]:
    with container.database.read_only() as session:
        return {row.scope: row.reason for row in suppressions_for(session, address)}


def rotate(container: Container) -> RotationResult:
    return rotate_keys(container.database.transaction, clock=container.clock)


def test_suppressions_rotate_with_their_supporter(with_keys) -> None:
    before = with_keys(OLD)
    create_reminder(before, KNOWN)
    add_suppression(before, KNOWN, SuppressionReason.COMPLAINT)
    add_suppression(before, KNOWN, SuppressionReason.UNSUBSCRIBE, scope="default")
    assert rotate(with_keys(NEW, OLD)) == RotationResult(rotated=1, suppressions=2)
    assert reasons_by_scope(with_keys(NEW), KNOWN) == {
        "*": SuppressionReason.COMPLAINT,
        "default": SuppressionReason.UNSUBSCRIBE,
    }
    assert reasons_by_scope(with_keys(OLD), KNOWN) == {}
    assert rotate(with_keys(NEW, OLD)) == RotationResult()


@pytest.mark.parametrize("stronger_under", [OLD, NEW])
def test_rotation_keeps_the_stronger_of_two_suppressions(with_keys, stronger_under: str) -> None:
    create_reminder(with_keys(OLD), KNOWN)
    for key in (OLD, NEW):
        is_strong = key == stronger_under
        add_suppression(
            with_keys(key, OLD),
            KNOWN,
            SuppressionReason.COMPLAINT if is_strong else SuppressionReason.ERASURE,
            minutes=not is_strong,
        )
    container = with_keys(NEW, OLD)
    assert rotate(container).suppressions == 1
    assert reasons_by_scope(with_keys(NEW), KNOWN) == {"*": SuppressionReason.COMPLAINT}


def test_permanent_suppressions_without_supporter_are_counted_and_kept(with_keys) -> None:
    before = with_keys(OLD)
    add_suppression(before, UNKNOWN, SuppressionReason.HARD_BOUNCE)
    add_suppression(before, UNKNOWN, SuppressionReason.COMPLAINT, scope="default")
    add_suppression(before, "left@news.example", SuppressionReason.UNSUBSCRIBE)
    both = with_keys(NEW, OLD)
    add_suppression(both, "another@news.example", SuppressionReason.HARD_BOUNCE)
    for _ in range(2):
        assert rotate(both) == RotationResult(unrotatable=1)
    assert reasons_by_scope(both, UNKNOWN) == {
        "*": SuppressionReason.HARD_BOUNCE,
        "default": SuppressionReason.COMPLAINT,
    }


def test_rotate_command_reports_unrotatable_suppressions(
    with_keys, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = with_keys(OLD)
    create_reminder(before, KNOWN)
    for address in (KNOWN, UNKNOWN):
        add_suppression(before, address, SuppressionReason.HARD_BOUNCE)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD}")
    result = CliRunner().invoke(cli, ["keys", "rotate"])
    assert result.exit_code == 0, result.output
    assert "Moved 1 suppressions" in result.stdout
    assert "1 addresses that bounced or complained have no supporter any more" in result.stdout
    assert "keep the older keys in SECRET_KEYS, behind the first" in result.stdout
    assert "news.example" not in result.output


def test_rotate_command_says_until_when_erasures_need_the_older_key(
    with_keys, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = with_keys(OLD)
    create_reminder(before, KNOWN)
    erase(before.database.transaction, before.gateway, KNOWN, requested_by="command line", clock=before.clock)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD}")
    result = CliRunner().invoke(cli, ["keys", "rotate"])
    assert result.exit_code == 0, result.output
    assert "1 completed erasure is recognised only by an older key" in result.stdout
    # 90 days after 23 November 2026.
    assert "until\n21 February 2027." in result.stdout
    assert "news.example" not in result.output
