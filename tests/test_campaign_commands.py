"""`mainstay campaign`: campaign files, and closing and reopening campaigns."""

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from sqlalchemy import select

from schemas.enums import Frequency, PledgeStatus, ReminderStatus
from service.bootstrap import build_container
from service.container import Container
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from tests.cli import assert_cli_error, run_cli
from tests.conftest import settings_for
from tests.db.factories import create_paid_pledge, create_reminder

Run = Callable[..., Result]
HEAD = "slug: appeal\nname: The Lantern\nheading: Help\nmessage: Please.\n"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("desk") / "mainstay.db"
    assert run_cli("migrate", DATABASE_URL=f"sqlite:///{file}").exit_code == 0
    return file


@pytest.fixture
def run(database: Path) -> Run:
    return lambda *arguments: run_cli("campaign", *arguments, DATABASE_URL=f"sqlite:///{database}")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a campaign file and returns its path."""

    def write_file(content: str) -> str:
        file = tmp_path / "appeal.yaml"
        file.write_text(content, encoding="utf-8")
        return str(file)

    return write_file


def offered(run: Run, file: str) -> str:
    result = run("check", file)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("currency", "written", "minor"),
    [
        ("USD", "200", 200),
        ("USD", "2.00", 200),
        ("USD", "2.5", 250),
        ("USD", "$2", 200),
        ("USD", '"$2.50"', 250),
        ("USD", '"2.00"', 200),
        ("USD", "2.00 USD", 200),
        ("USD", "USD 2", 200),
        ("CAD", "$2", 200),
        ("EUR", "€2.00", 200),
        ("EUR", "2 €", 200),
        ("JPY", "200", 200),
        ("JPY", "¥200", 200),
        ("JPY", '"200"', 200),
        ("KWD", "200", 200),
        ("KWD", "0.200", 200),
        ("KWD", "KWD 0.2", 200),
    ],
)
def test_amount_may_be_in_major_units(
    run: Run, write: Callable[[str], str], currency: str, written: str, minor: int
) -> None:
    option = f"{{frequency: once, presets: [1000], minimum: {written}, maximum: 100000}}"
    file = write(f"{HEAD}currency: {currency}\nfrequencies:\n  - {option}\n")
    assert run("apply", file).exit_code == 0
    [stored] = yaml.safe_load(run("show", "appeal").stdout)["frequencies"]
    assert stored["minimum"] == minor


@pytest.mark.parametrize(
    ("currency", "written", "expected"),
    [
        ("USD", '"2"', ["0.02 or 2.00 USD"]),
        ("USD", '"200"', ["2.00 or 200.00 USD"]),
        ("USD", "€2", ["€ does not belong", "USD"]),
        ("EUR", "$2", ["$ does not belong", "EUR"]),
        ("USD", "£2.00", ["£ does not belong"]),
        ("USD", "2 EUR", ["EUR does not belong"]),
        ("USD", "two", ["two does not belong"]),
        ("USD", "2.005", ["at most 2 decimals"]),
        ("USD", '"2,00"', ["decimal point"]),
        ("USD", '"1,000.00"', ["nothing between thousands"]),
        ("USD", '"-2.00"', ["decimal point"]),
        ("USD", "-200", ["more than zero"]),
        ("USD", "0.00", ["more than zero"]),
        ("USD", ".inf", ["inf does not belong"]),
        ("USD", "1.2e3", ["e does not belong"]),
        ("USD", "true", ["minor units"]),
        ("JPY", "2.00", ["no decimals"]),
        ("KWD", "0.2005", ["at most 3 decimals"]),
        ("USD", "0200", ["YAML reads 0200 as 128"]),
        ("USD", "1:30", ["YAML reads 1:30 as 90"]),
        ("USD", "0x10", ["YAML reads 0x10 as 16"]),
    ],
)
def test_unclear_amount_is_refused_with_its_line(
    run: Run, write: Callable[[str], str], currency: str, written: str, expected: list[str]
) -> None:
    file = write(f"{HEAD}currency: {currency}\nfrequencies:\n  - frequency: once\n    minimum: {written}\n")
    assert_cli_error(run("check", file), file, "line 8: ", *expected)
    assert_cli_error(run("apply", file), "line 8: ", *expected)


def test_amounts_of_presets_fees_and_other_currencies_are_read_too(run: Run, write: Callable[[str], str]) -> None:
    file = write(
        f"{HEAD}frequencies: [{{frequency: monthly, presets: &amounts [2.00, $7], default: 7.00, maximum: $50}}]\n"
        "cover_fees: {basis_points: 290, fixed: 0.30}\n"
        "other_currencies:\n"
        "  - currency: KWD\n"
        "    frequencies: [{frequency: once, presets: [2.000], minimum: 1.500, maximum: 9.000}]\n"
    )
    shown = offered(run, file)
    assert "USD monthly: $2, $7; $7 first; from $2 to $50" in shown
    assert "2.9 % and $0.30" in shown
    assert "KWD" in shown
    assert "1.500" in shown
    aliased = write(
        f"{HEAD}frequencies: [{{frequency: once, presets: &amounts [2.00]}}]\n"
        "other_currencies:\n"
        "  - {currency: KWD, frequencies: [{frequency: once, presets: *amounts, maximum: 9.000}]}\n"
    )
    assert "KWD once: KWD 2; KWD 2 first; from KWD 0.200 to KWD 9" in offered(run, aliased)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            f"{HEAD}frequencies:\n  - frequency: once\n    minimun: 200\n",
            ["line 7: frequencies: once: minimun: ", "'minimum'"],
        ),
        (
            f"{HEAD}frequencies:\n  - frequency: once\n  - frequency: monthly\n    presets: [200, 0]\n",
            ["line 8: frequencies: monthly: presets: entry 2: ", "more than zero"],
        ),
        (f"{HEAD}frequencies:\n  - presets: [200]\n", ["line 6: frequencies: entry 1: frequency: "]),
        ("name: A\nheading: B\nmessage: C\n", ["line 1: slug: "]),
        (f"{HEAD}lang: no\n", ["line 5: lang: ", '"no"', "quotes"]),
        (f"{HEAD}name: Twice\n", ["line 5:", "'name' is given twice", "line 2"]),
        (f"{HEAD}send_hour: 09\n", ["line 5:"]),
        (f"{HEAD}reminder:\n  choices: [1, 1]\n", ["line 6: reminder: choices: "]),
        (f"{HEAD}timezone:\n\t- tab\n", ["line 6:"]),
        (
            f"{HEAD}other_currencies:\n  - currency: EUR\n    frequencies: []\n",
            ["other_currencies: EUR: frequencies: "],
        ),
    ],
    ids=lambda part: None if isinstance(part, list) else part.removeprefix(HEAD),
)
def test_error_names_its_line_and_key(
    run: Run, write: Callable[[str], str], content: str, expected: list[str]
) -> None:
    file = write(content)
    assert_cli_error(run("check", file), file, *expected)


def test_every_error_of_every_file_is_reported_in_the_order_of_the_lines(
    run: Run, write: Callable[[str], str], tmp_path: Path
) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(HEAD, encoding="utf-8")
    file = write(f"{HEAD}send_hour: 25\nsend_until: 30\n")
    result = run("check", file, str(good))
    assert result.exit_code == 1
    assert result.stderr.index("line 5: send_hour") < result.stderr.index("line 6: send_until")
    assert f"{good} is valid" in result.stdout


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY", "KWD", "RUB"])
def test_new_file_is_valid_and_changes_nothing(run: Run, tmp_path: Path, currency: str) -> None:
    out, slug = tmp_path / "spring.yaml", f"spring-{currency.lower()}"
    arguments = ("new", slug, "--currency", currency, "--name", "Paper: the «news» # 1", "--lang", "no")
    assert run(*arguments, "--out", str(out)).exit_code == 0
    assert run(*arguments).stdout == out.read_text(encoding="utf-8")
    assert f"{currency} monthly" in offered(run, str(out))
    assert slug not in run("list").stdout
    assert_cli_error(run(*arguments, "--out", str(out)), "--force")
    assert run("apply", str(out)).exit_code == 0
    assert yaml.safe_load(run("show", slug).stdout)["name"] == "Paper: the «news» # 1"
    assert slug in run("list").stdout


@pytest.mark.parametrize(
    "arguments", [["new"], ["new", "Not A Slug"], ["new", "x", "--currency", "DOLLARS"], ["check"], ["diff"]]
)
def test_wrong_arguments_are_named(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_diff_shows_changes_as_readers_see_them_and_stores_none(run: Run, write: Callable[[str], str]) -> None:
    before = run("show", "default").stdout
    file = write(before)
    same = run("diff", file)
    assert (same.exit_code, same.stdout) == (0, "")
    assert "No changes" in same.stderr
    changed = yaml.safe_load(before)
    changed["heading"] = "Another heading"
    monthly = next(option for option in changed["frequencies"] if option["frequency"] == "monthly")
    monthly |= {"minimum": "$3", "presets": ["3.00"], "default": 300}
    result = run("diff", write(yaml.safe_dump(changed, sort_keys=False)))
    assert result.exit_code == 0
    assert "+heading: Another heading" in result.stdout
    assert "-  minimum: $2" in result.stdout
    assert "+  minimum: $3" in result.stdout
    assert run("show", "default").stdout == before
    new = run("diff", write(HEAD.replace("appeal", "brand-new")))
    assert "would create it" in new.stdout
    assert "monthly" in new.stdout
    assert "brand-new" not in run("list").stdout


@pytest.mark.parametrize("command", ["show", "close", "reopen"])
def test_unknown_campaign_leads_to_the_list(run: Run, command: str) -> None:
    assert_cli_error(run(command, "nope"), 'No campaign "nope"', "mainstay campaign list")


@pytest.fixture
def container(tmp_path: Path) -> Container:
    url = f"sqlite:///{tmp_path}/closing.db"
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    return build_container(settings_for(url))


@pytest.fixture
def run_here(container: Container) -> Run:
    url = container.settings.database_url
    return lambda *arguments: run_cli("campaign", *arguments, DATABASE_URL=url)


def reminder_statuses(container: Container) -> list[tuple[ReminderStatus, str | None]]:
    with container.database.read_only() as session:
        return [
            tuple(row) for row in session.execute(select(Reminder.status, Reminder.reason).order_by(Reminder.id))
        ]


def make_due(container: Container, *reminder_ids: object) -> None:
    with container.database.transaction() as session:
        for reminder_id in reminder_ids:
            session.get_one(Reminder, reminder_id).due_at = container.clock() - datetime.timedelta(days=3)


def test_closing_counts_recurring_donations_whose_first_payment_is_on_its_way(
    container: Container, run_here: Run
) -> None:
    paid = [create_paid_pledge(container, f"{name}@news.example") for name in "abc"]
    statuses = [PledgeStatus.ACTIVE, PledgeStatus.PROCESSING, PledgeStatus.PROCESSING]
    frequencies = [Frequency.MONTHLY, Frequency.ANNUAL, Frequency.ONCE]
    with container.database.transaction() as session:
        for pledge_id, status, frequency in zip(paid, statuses, frequencies, strict=True):
            pledge = session.get_one(Pledge, pledge_id)
            pledge.status, pledge.frequency = status, frequency
    assert "2 recurring donations go on" in run_here("close").stderr


def test_closing_asks_about_waiting_reminders_and_counts_running_donations(
    container: Container, run_here: Run
) -> None:
    create_reminder(container, "a@news.example")
    create_reminder(container, "b@news.example")
    with container.database.transaction() as session:
        pledge = session.get_one(Pledge, create_paid_pledge(container, "c@news.example"))
        pledge.status, pledge.frequency = PledgeStatus.ACTIVE, Frequency.MONTHLY
    assert_cli_error(run_here("close"), "2 reminders wait", "--waiting keep", "--waiting cancel")
    assert "default  open" in run_here("list").stdout
    closed = run_here("close", "--waiting", "keep")
    assert closed.exit_code == 0, closed.stderr
    assert "2 reminders wait until it is reopened" in closed.stderr
    assert "1 recurring donation goes on" in closed.stderr
    assert "default  closed 20" in run_here("list").stdout
    assert reminder_statuses(container) == [(ReminderStatus.SCHEDULED, None)] * 2
    # Nothing came due meanwhile, so nothing has to be decided.
    assert run_here("reopen").exit_code == 0
    assert "default  open" in run_here("list").stdout
    assert run_here("close", "default", "--waiting", "cancel").exit_code == 0
    assert reminder_statuses(container) == [(ReminderStatus.CANCELLED, "campaign_closed")] * 2
    assert run_here("reopen", "default").exit_code == 0


def test_closing_without_reminders_asks_nothing_and_can_be_repeated(run_here: Run) -> None:
    assert run_here("close").exit_code == 0
    assert run_here("close").exit_code == 0
    assert run_here("reopen").exit_code == 0
    assert run_here("reopen").exit_code == 0


def test_kept_reminders_can_be_cancelled_later(container: Container, run_here: Run) -> None:
    create_reminder(container, "a@news.example")
    assert run_here("close", "--waiting", "keep").exit_code == 0
    assert run_here("close", "--waiting", "cancel").exit_code == 0
    assert reminder_statuses(container) == [(ReminderStatus.CANCELLED, "campaign_closed")]


@pytest.mark.parametrize("late", ["send", "skip"])
def test_reopening_asks_what_becomes_of_late_reminders(container: Container, run_here: Run, late: str) -> None:
    ids = [create_reminder(container, f"{name}@news.example") for name in "abc"]
    assert run_here("close", "--waiting", "keep").exit_code == 0
    make_due(container, *ids[:2])
    assert_cli_error(run_here("reopen"), "2 reminders came due", "--late send", "--late skip")
    assert "closed" in run_here("list").stdout
    assert run_here("reopen", "--late", late).exit_code == 0
    left = (ReminderStatus.SCHEDULED, None)
    late_ones = left if late == "send" else (ReminderStatus.SKIPPED, "campaign_closed")
    assert reminder_statuses(container) == [late_ones, late_ones, left]


def test_applying_a_file_leaves_the_campaign_closed(run_here: Run, tmp_path: Path) -> None:
    assert run_here("close").exit_code == 0
    shown = run_here("show")
    assert "closed since" in shown.stderr
    file = tmp_path / "appeal.yaml"
    file.write_text(shown.stdout, encoding="utf-8")
    applied = run_here("apply", str(file))
    assert applied.exit_code == 0
    assert "stays closed" in applied.stderr
    assert "default  closed" in run_here("list").stdout
