"""docs/operations.md and docs/security.md name commands, settings, checks, metrics and log events that exist."""

import ast
import re
import shlex
from collections.abc import Iterator

import click
import pytest
from flask.testing import FlaskClient

from service.cli import cli
from service.db import migration
from service.db.disk_space import MIN_FREE_BYTES
from service.db.session import CONNECT_TIMEOUT_SECONDS
from service.db.time_limits import ANSWER_MARGIN_SECONDS, EXPORT_LIMITS, JOB_LIMITS
from service.settings import read_settings
from tests.processes import KEYS, ROOT
from tests.setting_names import setting_names

OPERATIONS = (ROOT / "docs/operations.md").read_text()
SECURITY = (ROOT / "docs/security.md").read_text()
REPORTING = (ROOT / "SECURITY.md").read_text()
# Names in capitals that are set for other programs, or stand for something that the reader fills in.
NO_SETTINGS = {
    "CI",
    "COMMIT",
    "DATE",
    "FILE",
    "PASSWORD",
    "POSTGRES_PASSWORD",
    "HEALTHCHECK",
    "SIGTERM",
    "USER",
    "READY",
}
BLOCK = re.compile(r"^```\w*\n(.*?)^```|^((?: {4,}.*\n)+)", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
CAPITALS = re.compile(r"\b[A-Z][A-Z_]{3,}\b")
# Not the user of `sudo -u mainstay`.
START = r"(?:^|(?<!-u)\s|bin/)(?:mainstay|python -m service|run (?:--rm )?web)"
COMMAND = re.compile(START + r" ((?:[a-z-]+ ?)+[^`\n#]*)")
FIRST_CELL = re.compile(r"^\| (.+?) \|", re.MULTILINE)
ERROR_LEVELS = ("error", "exception", "critical")


def code(text: str) -> Iterator[str]:
    """Yield each code block and span of a page."""
    for match in BLOCK.finditer(text):
        yield from (match[1] or match[2]).splitlines()
    yield from SPAN.findall(BLOCK.sub("", text))


def section(title: str) -> str:
    """Return the section of the operations guide with this heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", OPERATIONS, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def named(text: str, pattern: str = r"[a-z_]+") -> set[str]:
    """Return the names in the first cells of a section's tables."""
    return {name for cell in FIRST_CELL.findall(text) for name in re.findall(rf"`({pattern})`", cell)}


@pytest.mark.parametrize("page", [OPERATIONS, SECURITY, REPORTING], ids=["operations", "security", "reporting"])
def test_every_setting_exists(page: str) -> None:
    spans = [re.sub(r"-----.*|[=:].*", "", span) for span in SPAN.findall(BLOCK.sub("", page))]
    names = {name for span in spans for name in CAPITALS.findall(span)} - NO_SETTINGS
    assert names - setting_names() == set()


def test_guide_names_settings() -> None:
    assert len({name for span in SPAN.findall(OPERATIONS) for name in CAPITALS.findall(span)} - NO_SETTINGS) > 20


def commands(page: str) -> list[list[str]]:
    """Return the words after each `mainstay` in the code of a page."""
    return [
        shlex.split(arguments.partition("|")[0].partition("<")[0])
        for line in code(page)
        for arguments in COMMAND.findall(line)
    ]


@pytest.mark.parametrize("page", [OPERATIONS, SECURITY], ids=["operations", "security"])
def test_every_command_exists_with_its_options(page: str) -> None:
    for words in commands(page):
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group):
            if command.invoke_without_command and all(word.startswith("--") for word in rest[:1]):
                break
            assert rest, f"mainstay {' '.join(words)} is not complete"
            name = rest.pop(0)
            assert name in command.commands, f"mainstay {' '.join(words)}"
            command = command.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options, words


def test_guide_names_commands() -> None:
    first = {words[0] for words in commands(OPERATIONS)}
    assert {"serve", "worker", "migrate", "keys", "jobs", "token", "campaign", "stripe"} <= first
    assert {"backup", "restore-guard"} <= first


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (OPERATIONS, SECURITY, REPORTING):
        used = {target for line in code(page) for target in re.findall(r"(?:^|sudo )make ([a-z]+)", line)}
        assert used <= targets


def test_every_file_for_deployment_is_there_and_described() -> None:
    for path in set(re.findall(r"deploy/[\w./*-]+[\w*]", OPERATIONS)):
        assert list(ROOT.glob(path)), path
    for path in (ROOT / "deploy").rglob("*"):
        if path.is_file() and path.parent.name != "systemd":
            assert f"deploy/{path.name}" in OPERATIONS
    for unit in (ROOT / "deploy/systemd").glob("*"):
        assert unit.stem in OPERATIONS, unit.name


def test_heroku_commands_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = [
        text.partition("```sh\n")[2].partition("```")[0]
        for text in (readme.partition("## Deploy it")[2], OPERATIONS)
    ]
    assert blocks[0] == blocks[1]
    assert len(blocks[0].splitlines()) == 8


def test_every_check_of_readyz_is_described(client: FlaskClient) -> None:
    # Redis is checked only where it is used.
    checks = set(client.get("/readyz").json["checks"]) | {"redis"}
    assert named(section("`/readyz`").partition("`attention`")[0]) == checks


def test_every_topic_that_needs_attention_is_described() -> None:
    sources = "service/api/health.py service/domain/payments/alerts.py service/domain/payments/parked.py"
    sources += " service/domain/privacy/erasure.py service/domain/monitoring/restore_guard.py"
    sources += " service/domain/monitoring/summary.py"
    text = "".join((ROOT / name).read_text() for name in sources.split())
    topics = named(section("`/readyz`").partition("`attention`")[2])
    assert {topic for topic in topics if f'"{topic}"' not in text} == set()
    assert {
        "disputes",
        "early_fraud_warnings",
        "parked_events",
        "erasures",
        "clock",
        "held",
        "keys",
        "mail",
        "payments",
        "redis",
    } == topics


def test_every_metric_is_described() -> None:
    source = (ROOT / "service/api/metrics.py").read_text()
    counters = set(re.findall(r'CounterMetricFamily\("(mainstay_\w+)"', source))
    names = set(re.findall(r'"(mainstay_\w+)"', source)) - counters | {f"{name}_total" for name in counters}
    assert named(section("`/metrics`")) == names


def logged_errors() -> set[str]:
    """Return the names of the events that are logged as errors."""
    names = set()
    for package in ("service", "jobs"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ERROR_LEVELS
                ):
                    event = node.args[0] if node.args else None
                    if isinstance(event, ast.Constant) and isinstance(event.value, str) and " " not in event.value:
                        names.add(event.value)
    return names


def test_every_logged_error_is_described() -> None:
    assert named(section("The log")) == logged_errors()


def test_every_warning_that_is_named_is_logged() -> None:
    prose = section("The log").rpartition("A `warning`")[2]
    source = "".join(
        path.read_text() for package in ("service", "jobs") for path in (ROOT / package).rglob("*.py")
    )
    names = set(re.findall(r"`([a-z]+_[a-z_]+)`", prose))
    assert len(names) > 5
    assert {name for name in names if f'"{name}"' not in source} == set()


def test_connection_budget_adds_up() -> None:
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", section("Connections"), re.MULTILINE
    )
    assert len(rows) >= 5
    for row in rows:
        servers, concurrency, workers, connections, kept, peak = map(int, row)
        settings = read_settings({"MAIL_CONNECTIONS": str(connections)})
        processes = servers * concurrency + workers
        assert kept == processes * settings.database_pool
        assert peak == processes * (settings.database_pool + settings.database_pool_overflow)
    # The smallest hosted databases.
    assert int(rows[0][5]) < 20
    assert int(rows[0][1]) == read_settings({}).web_concurrency


def test_time_limits_are_those_of_the_code() -> None:
    text, settings = section("Time limits"), read_settings({})
    for name in ("request_timeout", "response_timeout", "database_statement_timeout", "database_lock_timeout"):
        assert f"`{name.upper()}`, {getattr(settings, f'{name}_seconds')} s" in text
    assert JOB_LIMITS.statement == EXPORT_LIMITS.statement == 5 * 60
    assert JOB_LIMITS.lock == EXPORT_LIMITS.lock == 30
    assert "| 5 minutes; for a lock half a minute |" in text
    assert f"| {CONNECT_TIMEOUT_SECONDS} s to connect; {ANSWER_MARGIN_SECONDS} s beyond" in text
    assert f"| the migration waits for a lock | {migration.LOCK_TIMEOUT_SECONDS} s |" in text
    graceful = re.search(
        r"^graceful_timeout = (\d+)", (ROOT / "service/gunicorn_config.py").read_text(), re.MULTILINE
    )
    assert f"| a stopped web process finishes its requests | {graceful[1]} s |" in text
    assert MIN_FREE_BYTES == 16 * 1024 * 1024


def test_settings_for_pgbouncer_are_accepted() -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", section("PgBouncer"), re.DOTALL)
    values = dict(line.split("=", 1) for line in block.splitlines())
    settings = read_settings(values | {"SECRET_KEYS": KEYS})
    assert settings.database_prepares == "off"
    assert settings.migration_database_url


def test_order_of_key_rotation() -> None:
    steps = re.findall(r"^\d\. .*$", section("Keys"), re.MULTILINE)
    assert [re.findall(r"`SECRET_KEYS=([a-z,]+)`|`(mainstay keys rotate)`", step)[0] for step in steps] == [
        ("old,new", ""),
        ("new,old", ""),
        ("", "mainstay keys rotate"),
        ("new", ""),
    ]


def promises() -> list[str]:
    """Return the rows of the tables of promises."""
    text = SECURITY.partition("\n## The promises\n")[2].partition("\n## ")[0]
    return [row for row in re.findall(r"^\| (?!promise |---).+$", text, re.MULTILINE) if row.strip("|- ")]


def test_every_promise_names_tests_that_exist() -> None:
    rows = promises()
    assert len(rows) > 25
    for row in rows:
        files = re.findall(r"`(tests/[\w/]+\.py)`", row.rpartition(" | ")[2])
        assert files, row
        for file in files:
            assert (ROOT / file).exists(), file
            assert re.search(
                r"^def test_|^    class TestCase|RuleBasedStateMachine|^Test\w+ = ",
                (ROOT / file).read_text(),
                re.MULTILINE,
            ), file


def test_every_kind_of_encrypted_column_is_named() -> None:
    """A new encrypted column needs a word in the guide."""
    columns = set()
    for path in (ROOT / "service/db/models").glob("*.py"):
        columns |= set(re.findall(r'EncryptedText\("(\w+\.\w+)"', path.read_text()))
    words = {
        "supporters.email": "email addresses of\nsupporters",
        "email_changes.email": "new and old addresses of a change",
        "erasures.address": "addresses of an erasure under way",
        "gateway_events.payload": "events from the payment provider",
        "pledges.open_invoice_url": "links to open\ninvoices",
        "outbox_mails.message": "emails that the outbox stores",
        "key_canaries.canary": "a known text that shows whether the keys are right",
    }
    text = " ".join(SECURITY.split())
    for column in columns:
        assert column in words, column
        assert " ".join(words[column].split()) in text, column
