"""`mainstay campaign brand`, and logos and colours in campaign files."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from tests.cli import assert_cli_error, run_cli
from tests.logos import DRAWING, drawing, pixels

Run = Callable[..., Result]
HEAD = "slug: default\nname: The Lantern\nheading: Help\nmessage: Please.\n"


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('brand')}/mainstay.db"
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    return url


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `mainstay campaign` in a folder with logos; the campaign has no brand."""
    monkeypatch.chdir(tmp_path)
    for module in ("campaigns", "campaign_brand"):
        monkeypatch.setattr(f"service.commands.{module}.wait_for_ttl", lambda: None)
    Path("logo.svg").write_bytes(DRAWING)
    Path("dark.png").write_bytes(pixels())
    Path("logo.png").write_text("This is text.", encoding="utf-8")

    def run_command(*arguments: str) -> Result:
        return run_cli("campaign", *arguments, DATABASE_URL=database_url)

    assert apply(run_command, "brand: null\n").exit_code == 0
    return run_command


def shown(run: Run) -> dict:
    return yaml.safe_load(run("show").stdout).get("brand", {})


def apply(run: Run, brand: str) -> Result:
    Path("appeal.yaml").write_text(HEAD + brand, encoding="utf-8")
    return run("apply", "appeal.yaml")


def test_logo_is_stored_shown_and_removed(run: Run) -> None:
    result = run("brand", "--logo", "logo.svg", "--logo-dark", "dark.png")
    assert result.exit_code == 0, result.output
    logos = shown(run)
    assert f"Stored {logos['logo']}," in result.stdout
    assert f"/brand/images/{logos['logo']}\n" in result.stdout
    assert f"/brand/images/{logos['logo']}-email.png (for emails)" in result.stdout
    assert f"  logo: {logos['logo']}, shown at 224 × 56\n" in result.stdout
    assert f"  logo_dark: {logos['logo_dark']}, shown at 224 × 56\n" in result.stdout
    assert run("brand", "default").stdout in result.stdout
    assert run("brand", "--remove-logo-dark").exit_code == 0
    assert shown(run) == {"logo": logos["logo"]}
    assert "The campaign 'default' has the look of Mainstay." in run("brand", "--remove-logo").stdout
    assert shown(run) == {}


def test_logo_can_come_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of one's own is not on a dyno, but can be sent to the command there."""
    monkeypatch.setattr("service.commands.logo_files.standard_input", lambda: io.BytesIO(DRAWING))
    assert run("brand", "--logo", "-").exit_code == 0
    assert shown(run)["logo"].endswith("-400x100.svg")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--logo", "logo.png"], 1, "logo.png was not stored. The file is no image."),
        (["--logo", "none.svg"], 2, "does not exist"),
        (["--logo", "logo.svg", "--remove-logo"], 2, "Give --logo or --remove-logo, not both."),
        (["--logo", "-", "--logo-dark", "-"], 2, "Only one of the images can come from standard input."),
        (["none", "--logo", "logo.svg"], 1, 'No campaign "none". Run mainstay campaign list.'),
    ],
)
def test_refusal_changes_nothing(run: Run, arguments: list[str], code: int, reason: str) -> None:
    result = run("brand", *arguments)
    assert result.exit_code == code
    assert reason in result.stderr
    assert shown(run) == {}


def test_what_was_removed_from_a_drawing_is_printed(run: Run) -> None:
    Path("logo.svg").write_bytes(drawing("<script>alert(1)</script>"))
    assert "must not have it: <script>." in run("brand", "--logo", "logo.svg").stderr


def test_file_with_the_path_of_a_logo_is_applied(run: Run) -> None:
    result = apply(run, 'brand:\n  logo: logo.svg\n  accent: "#B00"\n  postal_address: |\n    1 Quay\n    Port\n')
    assert result.exit_code == 0, result.output
    brand = shown(run)
    assert brand["logo"].endswith("-400x100.svg")
    assert (brand["accent"], brand["postal_address"]) == ("#bb0000", "1 Quay\nPort")
    assert "buttons in #bb0000 with text in #ffffff, contrast 6.7:1" in result.stderr
    Path("shown.yaml").write_text(run("show").stdout, encoding="utf-8")
    assert "No changes" in run("diff", "shown.yaml").stderr
    assert run("check", "shown.yaml").exit_code == 0
    assert run("apply", "shown.yaml").exit_code == 0
    assert shown(run) == brand


def test_file_that_does_not_name_the_logo_keeps_it(run: Run) -> None:
    run("brand", "--logo", "logo.svg")
    logo = shown(run)["logo"]
    result = apply(run, 'brand: {accent: "#00b"}\n')
    assert "It keeps its logo, which appeal.yaml does not name; logo: null removes it." in result.stderr
    assert shown(run) == {"logo": logo, "accent": "#0000bb"}
    assert "No changes" in run("diff", "appeal.yaml").stderr
    assert apply(run, "").exit_code == 0
    assert shown(run) == {"logo": logo}
    assert apply(run, "brand: {logo: null}\n").exit_code == 0
    assert shown(run) == {}


@pytest.mark.parametrize(
    ("brand", "reason"),
    [
        ("brand: {logo: logo.png}", "line 5: brand: logo: The file is no image."),
        (
            "brand: {logo: none.svg}",
            "There is no file none.svg beside the campaign file, and no image of this name.",
        ),
        ("brand:\n  accent: #b00", 'line 6: brand: accent: Give a colour in quotes, such as "#0f5c4e"'),
        (
            'brand: {accent: "#fd0", on_accent: "#fff"}',
            "brand: accent: Text in #ffffff on #ffdd00 has a contrast of",
        ),
        ("brand: {acent: red}", "brand: acent: Unknown field; did you mean 'accent'?"),
        (f"brand: {{logo: {'a' * 32}-1x1.png}}", f"No image {'a' * 32}-1x1.png is stored."),
    ],
)
def test_brand_that_cannot_be_shown_is_refused(run: Run, brand: str, reason: str) -> None:
    assert_cli_error(apply(run, brand + "\n"), reason)
    assert shown(run) == {}
