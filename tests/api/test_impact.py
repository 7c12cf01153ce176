"""What amounts pay for: lines of a campaign for its presets, in each language and currency."""

from pathlib import Path

from flask.testing import FlaskClient

from service.container import Container
from tests.api.client import auth_headers, update_campaign
from tests.cli import run_cli
from tests.currencies import EUROS

DEFAULT = "/v1/campaigns/default"
LINE = "$7 pays for one records request"
IMPACT = {"monthly": {"700": LINE}}


def test_campaign_has_no_lines_by_default(client: FlaskClient) -> None:
    campaign = client.get(DEFAULT).json
    assert (campaign["impact"], campaign["quiet_days"]) == ({}, 30)


def test_lines_are_in_the_language_of_the_reader(container: Container, client: FlaskClient) -> None:
    lines = IMPACT | {"once": {"1500": "Pays for a drive to the county court"}}
    update_campaign(container, impact=lines, texts={"ru": {"impact_monthly_700": "Один запрос в архив"}})
    assert client.get(DEFAULT).json["impact"] == lines
    assert client.get(f"{DEFAULT}?lang=ru").json["impact"] == lines | {"monthly": {"700": "Один запрос в архив"}}


def test_other_currency_has_lines_of_its_own(container: Container, client: FlaskClient) -> None:
    frequency = EUROS["frequencies"][0]["frequency"]
    amount = str(EUROS["frequencies"][0]["presets"][0])
    update_campaign(
        container,
        impact=IMPACT,
        other_currencies=[EUROS | {"impact": {frequency: {amount: "Pays for ink"}}}],
        texts={"de": {f"impact_{frequency}_{amount}_EUR": "Zahlt die Tinte"}},
    )
    campaign = client.get(f"{DEFAULT}?lang=de").json
    assert campaign["impact"] == IMPACT
    assert campaign["other_currencies"][0]["impact"] == {frequency: {amount: "Zahlt die Tinte"}}


def test_lines_come_back_from_the_staff_api(container: Container, client: FlaskClient) -> None:
    update_campaign(container, impact=IMPACT, quiet_days=14)
    file = client.get("/v1/admin/campaigns/default", headers=auth_headers(container, "read")).json
    assert (file["impact"], file["quiet_days"]) == (IMPACT, 14)


def test_plain_page_describes_each_preset_by_its_line(container: Container, client: FlaskClient) -> None:
    update_campaign(container, impact=IMPACT, texts={"ru": {"impact_monthly_700": "Один запрос в архив"}})
    page = client.get("/support/default").text
    assert 'value="700" checked aria-describedby="impact-monthly-700"' in page
    assert f'id="impact-monthly-700">{LINE}</p>' in page
    assert page.count("impact-") == 2
    assert "Один запрос в архив" in client.get("/support/default?lang=ru").text


def test_campaign_file_may_write_the_amounts_of_lines_as_readers_see_them(tmp_path: Path) -> None:
    file = tmp_path / "appeal.yaml"
    head = "slug: appeal\nname: The Lantern\nheading: Help\nmessage: Please.\n"
    file.write_text(head + "impact:\n  monthly:\n    $7: Pays for ink\n    15.00: Pays for paper\n")
    result = run_cli("campaign", "check", str(file))
    assert result.exit_code == 0, result.stderr
    assert "    $7: Pays for ink\n    $15: Pays for paper\n" in result.stdout


def test_wrong_line_of_a_campaign_file_is_named_with_what_is_possible(tmp_path: Path) -> None:
    file = tmp_path / "appeal.yaml"
    head = "slug: appeal\nname: The Lantern\nheading: Help\nmessage: Please.\n"
    lines = "impact:\n  monthly:\n    8.00: Pays for ink\n    $7: Pays for ink\n    700: Pays for paper\n"
    file.write_text(head + lines + "texts: {ru: {impact_once_700: Чернила}}\n")
    result = run_cli("campaign", "check", str(file))
    assert result.exit_code == 1
    assert "This amount has a line already." in result.stderr
    file.write_text(head + lines.rpartition("    700")[0] + "texts: {ru: {impact_once_700: Чернила}}\n")
    result = run_cli("campaign", "check", str(file))
    assert "impact: monthly: 800: This isn't a preset; give one of 200, 700, 1500." in result.stderr
    assert "impact_once_700: `impact` has no line for this." in result.stderr
