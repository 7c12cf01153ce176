"""`mainstay stripe setup`: subscribe to the handled events and print the webhook secret once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from service.gateways.stripe.event_parsers import EVENT_PARSERS
from tests.cli import assert_cli_error, run_cli
from tests.gateways.stripe.factories import PAGE
from tests.stripe_double import KEY, FakeStripe


@pytest.fixture
def double() -> Iterator[FakeStripe]:
    with FakeStripe() as double:
        yield double


def run_setup(double: FakeStripe, folder: Path, **changes: str) -> Result:
    environment = {
        "DATABASE_URL": f"sqlite:///{folder}/mainstay.db",
        "GATEWAY": "stripe",
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": "",
        "STRIPE_API_BASE": double.url,
        "PUBLIC_URL": PAGE,
    }
    return run_cli("stripe", "setup", **environment | changes)


def test_setup_prints_only_the_new_secret(double: FakeStripe, tmp_path: Path) -> None:
    result = run_setup(double, tmp_path)
    assert result.exit_code == 0
    (endpoint,) = double.account.all("webhook_endpoint")
    assert result.stdout == f"{double.account.secrets[endpoint['id']]}\n"
    assert endpoint["url"] == f"{PAGE}/v1/webhooks/stripe"
    assert set(endpoint["enabled_events"]) == set(EVENT_PARSERS)
    assert endpoint["api_version"] == double.account.api_version
    assert "STRIPE_WEBHOOK_SECRET" in result.stderr


def test_second_setup_updates_the_endpoint_without_printing_a_secret(double: FakeStripe, tmp_path: Path) -> None:
    run_setup(double, tmp_path)
    (endpoint,) = double.account.all("webhook_endpoint")
    endpoint |= {"enabled_events": ["invoice.paid"], "status": "disabled"}
    again = run_setup(double, tmp_path)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "Updated" in again.stderr
    (endpoint,) = double.account.all("webhook_endpoint")
    assert set(endpoint["enabled_events"]) == set(EVENT_PARSERS)
    assert endpoint["status"] == "enabled"


def test_endpoint_with_older_api_version_is_kept_and_reported(double: FakeStripe, tmp_path: Path) -> None:
    run_setup(double, tmp_path)
    double.account.all("webhook_endpoint")[0]["api_version"] = "2019-12-03"
    assert "2019-12-03" in run_setup(double, tmp_path).stderr


def test_another_public_url_gets_its_own_endpoint_and_secret(double: FakeStripe, tmp_path: Path) -> None:
    first = run_setup(double, tmp_path).stdout
    second = run_setup(double, tmp_path, PUBLIC_URL="https://other.news.example").stdout
    assert first != second != ""
    assert len(double.account.all("webhook_endpoint")) == 2


@pytest.mark.parametrize(
    "public_url",
    [
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "http://10.0.0.7",
        "http://192.168.1.5",
        "http://169.254.1.1",
        "http://desk",
        "http://desk.local",
        "http://desk.test",
        "http://desk.LOCALHOST.",
    ],
)
def test_unreachable_public_url_is_rejected(double: FakeStripe, tmp_path: Path, public_url: str) -> None:
    assert_cli_error(run_setup(double, tmp_path, PUBLIC_URL=public_url), "PUBLIC_URL", "can reach")
    assert double.account.all("webhook_endpoint") == []


def test_live_mode_requires_https(double: FakeStripe, tmp_path: Path) -> None:
    live = {"STRIPE_SECRET_KEY": "sk_live_51Mainstay", "PUBLIC_URL": "http://support.news.example"}
    assert_cli_error(run_setup(double, tmp_path, **live), "https://")


def test_setup_requires_stripe_gateway(double: FakeStripe, tmp_path: Path) -> None:
    assert_cli_error(run_setup(double, tmp_path, GATEWAY="sandbox"), "GATEWAY must be stripe")


def test_rejected_key_is_reported_without_the_key(double: FakeStripe, tmp_path: Path) -> None:
    result = run_setup(double, tmp_path, STRIPE_SECRET_KEY="sk_test_of_somebody_else")
    assert_cli_error(result, "STRIPE_SECRET_KEY")
    assert "somebody_else" not in result.output


def test_help_describes_group_and_command() -> None:
    assert "setup" in run_cli("stripe", "--help").stdout
    assert "secret" in run_cli("stripe", "setup", "--help").stdout
