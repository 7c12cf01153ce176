"""`mainstay campaign apply` says how it understood the origins and hosts of a file."""

from pathlib import Path

import pytest
import yaml

from tests.cli import assert_cli_error, run_cli

CAMPAIGN = {"slug": "default", "name": "The Harbour Lantern", "heading": "Keep it lit", "message": "Readers pay."}


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Return the URL of a new database."""
    url = f"sqlite:///{tmp_path}/desk.db"
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    return url


def apply(folder: Path, database: str, **changes: object):
    file = folder / "campaign.yaml"
    file.write_text(yaml.safe_dump(CAMPAIGN | changes, allow_unicode=True), encoding="utf-8")
    return run_cli("campaign", "apply", str(file), DATABASE_URL=database)


def test_apply_says_what_was_understood(tmp_path: Path, database: str) -> None:
    origins = ["https://Zeitung-München.example:443/", "https://paper.example"]
    applied = apply(tmp_path, database, origins=origins, return_hosts=["Zeitung-München.example"])
    assert applied.exit_code == 0, applied.stderr
    assert (
        "origins: https://Zeitung-München.example:443/ was understood as https://xn--zeitung-mnchen-osb.example."
        in applied.stderr
    )
    assert (
        "return_hosts: Zeitung-München.example was understood as xn--zeitung-mnchen-osb.example." in applied.stderr
    )
    assert "paper.example was understood" not in applied.stderr
    shown = yaml.safe_load(run_cli("campaign", "show", DATABASE_URL=database).stdout)
    assert shown["origins"] == ["https://xn--zeitung-mnchen-osb.example", "https://paper.example"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"origins": ["https://paper.example/news"]}, "understood as https://paper.example"),
        ({"origins": ["https://*.paper.example"]}, "no pattern"),
        ({"return_hosts": ["https://paper.example"]}, "understood as paper.example"),
    ],
)
def test_refusal_says_what_was_understood(
    tmp_path: Path, database: str, changes: dict[str, object], says: str
) -> None:
    assert_cli_error(
        apply(tmp_path, database, **changes),
        says,
        "is not a valid campaign file",
        f"  line 5: {next(iter(changes))}: ",
    )
