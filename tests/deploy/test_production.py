"""In production: what stops the start, with the command that mends it, and what of the demo does not exist."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.processes import WEB_COMMAND, WORKER_COMMAND
from service.setting_values import SettingsError
from service.settings import DEMO_KEY, read_settings
from tests.api.client import update_campaign
from tests.cli import run_cli
from tests.conftest import make_database, settings_for
from tests.pages.html import BROWSER
from tests.processes import KEYS, ROOT, environment, free_port, is_listening, running, wait_until

PUBLIC_URL = "https://support.paper.example"
PRODUCTION = {"MAINSTAY_ENV": "production", "PUBLIC_URL": PUBLIC_URL, "MAIL_URL": "smtp://127.0.0.1:1?tls=none"}
VALID = PRODUCTION | {"DATABASE_URL": "postgresql://host/name", "SECRET_KEYS": KEYS}
HEROKU = {name: value for name, value in VALID.items() if name != "MAINSTAY_ENV"} | {"DYNO": "web.1"}
SERVE = (sys.executable, "-m", "service", "serve")
WORKER = (sys.executable, "-m", "service", "worker")


def faults(settings: dict[str, str]) -> list[str]:
    """Return the sentences with which the start is refused."""
    with pytest.raises(SettingsError) as refused:
        read_settings(settings)
    return str(refused.value).splitlines()


def test_development_is_default_and_dyno_means_production() -> None:
    assert not read_settings({}).is_production
    assert not read_settings({"DYNO": " "}).is_production
    assert read_settings(HEROKU).is_production
    assert read_settings(VALID).is_production
    assert not read_settings({"DYNO": "web.1", "MAINSTAY_ENV": "development"}).is_production
    assert "production or development" in faults({"MAINSTAY_ENV": "staging"})[0]


@pytest.mark.parametrize("dyno", ["web.1", "worker.2", "release.4321", "run.9"])
def test_all_faults_are_told_at_once_with_their_commands_on_heroku(dyno: str) -> None:
    database, key, mail, url = faults({"DYNO": dyno})
    assert "DATABASE_URL" in database
    assert "run heroku addons:create heroku-postgresql" in database
    assert "run heroku config:set SECRET_KEYS=" in key
    assert "run heroku config:set MAIL_URL=" in mail
    assert "run heroku config:set PUBLIC_URL=" in url
    for sentence in (database, key, mail, url):
        assert sentence.endswith(".")
        assert "in production, because" in sentence


def test_elsewhere_faults_name_environment_variables() -> None:
    found = faults({"MAINSTAY_ENV": "production"})
    assert [sentence.split()[0] for sentence in found] == ["DATABASE_URL", "SECRET_KEYS", "MAIL_URL", "PUBLIC_URL"]
    for sentence in found:
        assert "heroku" not in sentence
        assert f": set {sentence.split()[0]}=" in sentence


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("GATEWAY", "stripe", "STRIPE_SECRET_KEY"),
        ("PORT", "http", "PORT"),
        ("MAIL_FROM", "The Paper", "MAIL_FROM"),
        ("RATE_LIMIT", "300", "RATE_LIMIT"),
    ],
)
def test_invalid_value_is_told_together_with_the_demo_settings(name: str, value: str, named: str) -> None:
    found = faults({"DYNO": "web.1", name: value})
    assert [sentence.split()[0] for sentence in found] == [
        "DATABASE_URL",
        "SECRET_KEYS",
        "MAIL_URL",
        "PUBLIC_URL",
        named,
    ]
    # A value that is invalid is no demo setting besides.
    assert len(faults(VALID | {"PUBLIC_URL": "https://[::1"})) == 1
    assert len(faults(VALID | {"MAIL_URL": "mail.example"})) == 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "DATABASE_URL",
            ["", "sqlite://", "sqlite:///var/mainstay.db", "sqlite+pysqlite:////data/x.db", "SQLITE:///x.db"],
        ),
        ("SECRET_KEYS", ["", " , ", DEMO_KEY, f"{KEYS},{DEMO_KEY}"]),
        ("MAIL_URL", ["", "outbox:", "outbox"]),
        (
            "PUBLIC_URL",
            [
                "",
                "http://localhost:8000",
                "https://LOCALHOST",
                "https://localhost.",
                "https://paper.localhost",
                "http://127.0.0.1",
                "http://127.9.9.9:80",
                "http://127.1",
                "http://2130706433",
                "http://0x7f.1",
                "http://[::1]:8000",
                "http://[::ffff:127.0.0.1]",
                "http://0.0.0.0:8000",
                "http://[::]:8000",
                "http://[::ffff:0.0.0.0]",
                "http://１２７.0.0.1",
                "http://ⓛⓞcalhost",
                "http://127。0。0。1",
            ],
        ),
    ],
)
@pytest.mark.parametrize("given", [VALID, HEROKU], ids=["MAINSTAY_ENV", "DYNO"])
def test_each_demo_setting_alone_stops_the_start(name: str, values: list[str], given: dict[str, str]) -> None:
    for value in values:
        [sentence] = faults(given | {name: value})
        assert sentence.startswith(f"{name} must be "), value


@pytest.mark.parametrize(
    "url", ["https://localhost.paper.example", "https://127.0.0.1.paper.example", "http://10.0.0.5", "https://a.b"]
)
def test_public_address_starts(url: str) -> None:
    assert read_settings(VALID | {"PUBLIC_URL": url}).public_url == url


def test_public_url_falls_back_to_the_domain_that_heroku_gives() -> None:
    given = HEROKU | {"HEROKU_APP_DEFAULT_DOMAIN_NAME": "paper-1234.herokuapp.com"}
    assert read_settings(given).public_url == PUBLIC_URL
    for unset in ("", " "):
        assert read_settings(given | {"PUBLIC_URL": unset}).public_url == "https://paper-1234.herokuapp.com"
    [sentence] = faults(HEROKU | {"PUBLIC_URL": "", "HEROKU_APP_DEFAULT_DOMAIN_NAME": ""})
    assert "PUBLIC_URL" in sentence


@pytest.mark.parametrize(
    ("keys", "number"),
    [("x", 1), ("k" * 31, 1), (f"{KEYS},short", 1), (f"short,{KEYS}", 1), ("short,k,k2", 3), (KEYS[:32], 0)],
)
@pytest.mark.parametrize("given", [{}, VALID, HEROKU], ids=["development", "MAINSTAY_ENV", "DYNO"])
def test_short_key_stops_the_start_without_being_shown(keys: str, number: int, given: dict[str, str]) -> None:
    settings = given | {"SECRET_KEYS": keys}
    if not number:
        assert read_settings(settings).secret_keys == (keys,)
        return
    found = faults(settings)
    assert all("needs at least 32" in sentence and "keys rotate" in sentence for sentence in found)
    assert not any("short," in sentence or "k2" in sentence for sentence in found)


def test_short_old_key_can_still_be_rotated_away(worker_id: str) -> None:
    database = {"DATABASE_URL": make_database(f"mainstay_short_{worker_id}")}
    assert run_cli("migrate", **database).exit_code == 0
    assert run_cli("keys", "rotate", SECRET_KEYS=f"{KEYS},short", **database).exit_code == 0
    refused = run_cli("keys", "rotate", SECRET_KEYS=f"short,{KEYS}", **database)
    assert (refused.exit_code, "needs at least 32" in refused.stderr) == (1, True)


def stopped(command: tuple[str, ...], env: dict[str, str]) -> str:
    """Run a process that must stop at once with an error; return what it said."""
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("command", [SERVE, WORKER, WEB_COMMAND, WORKER_COMMAND], ids=" ".join)
def test_process_on_a_bare_dyno_says_all_that_is_missing(command: tuple[str, ...]) -> None:
    env = environment("", DYNO="web.1", PORT=str(free_port()), SECRET_KEYS="")
    said = stopped(command, env)
    for expected in ("heroku-postgresql", "SECRET_KEYS=$(openssl", "MAIL_URL='smtp", "PUBLIC_URL=https"):
        assert expected in said


@pytest.mark.parametrize("command", [SERVE, WORKER], ids=["serve", "worker"])
def test_process_does_not_start_on_database_that_is_not_migrated(
    command: tuple[str, ...], worker_id: str, tmp_path: Path
) -> None:
    empty = make_database(f"mainstay_bare_{worker_id}")
    file = tmp_path / "none.db"
    for url in (empty, f"sqlite:///{file}"):
        said = stopped(command, environment(url, PORT=str(free_port())))
        assert said == "Error: The database is not migrated: run mainstay migrate.\n"
    assert not file.exists()


def test_process_does_not_start_on_older_schema(worker_id: str) -> None:
    url = make_database(f"mainstay_older_{worker_id}")
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    container = build_container(settings_for(url))
    with container.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0029'")
    container.database.engine.dispose()
    assert "run mainstay migrate" in stopped(SERVE, environment(url, PORT=str(free_port())))


def test_database_that_does_not_answer_stops_nothing(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    url = "postgresql://nobody@127.0.0.1:1/gone?connect_timeout=2"
    with running(*SERVE, log=log, env=environment(url, PORT=str(port), WEB_CONCURRENCY="1")) as process:
        wait_until(
            lambda: process.poll() is not None or is_listening(f"http://127.0.0.1:{port}/healthz"),
            what=f"the web, see {log}",
        )
        assert process.poll() is None, log.read_text()
    assert "The database does not answer; starting all the same." in log.read_text()


@pytest.fixture
def production(worker_id: str) -> Iterator[Container]:
    """Return a production container on a database of its own, migrated by the command."""
    url = make_database(f"mainstay_production_{worker_id}")
    migrated = run_cli("migrate", DATABASE_URL=url, **PRODUCTION)
    assert migrated.exit_code == 0, migrated.output
    assert "There is no campaign yet" in migrated.stdout
    container = build_container(settings_for(url, **PRODUCTION))
    yield container
    container.database.engine.dispose()


@pytest.fixture
def client(production: Container) -> FlaskClient:
    return create_app(production).test_client()


def test_nothing_of_the_demo_exists_in_production(client: FlaskClient) -> None:
    assert client.get("/v1/campaigns/default").status_code == 404
    for path in (
        "/demo",
        "/demo/widgets",
        "/demo/widgets/box",
        "/dev",
        "/dev/outbox",
        "/dev/outbox/00000000-0000-7000-8000-000000000000",
    ):
        response = client.get(path, headers=BROWSER | {"Host": "localhost"})
        assert response.status_code == 404, path
    assert "/demo" not in client.get("/docs").text
    # Not only closed to those who are not on this machine.
    assert not [rule for rule in client.application.url_map.iter_rules() if rule.rule.startswith("/dev")]


def test_root_leads_to_the_newsrooms_campaign(production: Container, client: FlaskClient) -> None:
    def target() -> str:
        response = client.get("/")
        assert response.status_code == 302
        return response.headers["Location"]

    assert target() == "/support/default"
    run_demo("install", production)
    update_campaign(production, slug="climate")
    assert target() == "/support/default"
    with production.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE campaigns SET slug = 'older' WHERE slug = 'default'")
    assert target() == "/support/older"
    assert client.get("/?lang=ru").headers["Location"] == "/support/older?lang=ru"


def run_demo(action: str, container: Container) -> str:
    url = container.settings.database_url
    result = run_cli("demo", action, DATABASE_URL=url, **PRODUCTION)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_installed_demo_is_shown_until_it_is_removed(production: Container, client: FlaskClient) -> None:
    said = run_demo("install", production)
    assert said == f"The demo is at {PUBLIC_URL}/demo, with the campaign 'default'.\n"
    assert run_demo("install", production) == said
    page = client.get("/demo").text
    assert '<support-box campaign="default"><a href="/support/default">' in page
    assert "/dev/outbox" not in page
    assert client.get("/v1/campaigns/default").json["name"] == "The Harbour Lantern"
    run_demo("remove", production)
    assert client.get("/demo").status_code == 404
    assert client.get("/v1/campaigns/default").status_code == 200
    refused = run_cli("demo", "remove", DATABASE_URL=production.settings.database_url, **PRODUCTION)
    assert (refused.exit_code, refused.stderr) == (1, "Error: The demo is not installed.\n")


def test_demo_never_replaces_the_newsrooms_campaign(production: Container, client: FlaskClient) -> None:
    run_demo("install", production)
    run_demo("remove", production)
    update_campaign(production, name="The Paper")
    assert "with the campaign 'demo'" in run_demo("install", production)
    assert '<support-box campaign="demo"><a href="/support/demo">' in client.get("/demo").text
    assert client.get("/support/default").text.count("The Paper")


def test_real_web_process_on_a_dyno_serves_without_the_demo(production: Container, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    base = f"http://127.0.0.1:{port}"
    mail = {"MAIL_URL": PRODUCTION["MAIL_URL"], "HEROKU_APP_DEFAULT_DOMAIN_NAME": "paper-1234.herokuapp.com"}
    env = environment(production.settings.database_url, DYNO="web.1", PORT=str(port), WEB_CONCURRENCY="1", **mail)
    with running(*SERVE, log=log, env=env) as process:
        wait_until(
            lambda: process.poll() is not None or is_listening(f"{base}/healthz"), what=f"the web, see {log}"
        )
        assert process.poll() is None, log.read_text()
        assert [requests.get(base + path, timeout=60).status_code for path in ("/demo", "/dev/outbox")] == [
            404,
            404,
        ]
        assert requests.get(f"{base}/metrics", timeout=60).status_code == 401
        root = requests.get(f"{base}/", timeout=60, allow_redirects=False)
        assert (root.status_code, root.headers["Location"]) == (302, "/support/default")
        assert root.headers["Strict-Transport-Security"] == "max-age=31536000"
        server = requests.get(f"{base}/openapi.json", timeout=60).json()["servers"]
        assert server == [{"url": "https://paper-1234.herokuapp.com"}]
