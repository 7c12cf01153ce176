"""The example campaign in three currencies can be applied, shown and applied again."""

from pathlib import Path

import yaml

from tests.cli import assert_cli_error, run_cli
from tests.processes import ROOT

STRIPE = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": "sk_test_that_is_never_sent"}
EXAMPLE = ROOT / "docs" / "campaign-in-three-currencies.yaml"


def test_example_campaign_round_trips(tmp_path: Path) -> None:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/desk.db"}
    assert run_cli("migrate", **database).exit_code == 0
    assert run_cli("campaign", "apply", str(EXAMPLE), **database).exit_code == 0
    shown = run_cli("campaign", "show", "three-currencies", **database).stdout
    again = tmp_path / "again.yaml"
    again.write_text(shown, encoding="utf-8")
    assert run_cli("campaign", "apply", str(again), **database).exit_code == 0
    assert run_cli("campaign", "show", "three-currencies", **database).stdout == shown
    file = yaml.safe_load(shown)
    assert [file["currency"], *(offer["currency"] for offer in file["other_currencies"])] == ["EUR", "JPY", "KWD"]
    assert file["cover_fees"] == {"basis_points": 150, "fixed": 25}


def test_stripe_can_charge_example_amounts(tmp_path: Path) -> None:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/desk.db"}
    assert run_cli("migrate", **database).exit_code == 0
    applied = run_cli("campaign", "apply", str(EXAMPLE), **database, **STRIPE)
    assert applied.exit_code == 0, applied.stderr


def test_unchargeable_stripe_amount_error_names_currency_frequency_and_amount(tmp_path: Path) -> None:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/desk.db"}
    run_cli("migrate", **database)
    for old, new, expected in (
        (
            "presets: [1500, 5000, 15000]",
            "presets: [1505, 5000]",
            "KWD, once: the preset of 1.505 cannot be charged",
        ),
        ("    minimum: 1000\n", "    minimum: 40\n", "EUR, annual: the minimum of 0.40 cannot be charged"),
    ):
        changed = tmp_path / "changed.yaml"
        changed.write_text(EXAMPLE.read_text("utf-8").replace(old, new), encoding="utf-8")
        assert_cli_error(run_cli("campaign", "apply", str(changed), **database, **STRIPE), expected, "by stripe")
        assert run_cli("campaign", "show", "three-currencies", **database).exit_code == 1
