"""Deployment files: app.json, .python-version, the requirements and the Procfile."""

import ast
import json
import re
import shlex
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from service.settings import read_settings
from tests.processes import KEYS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN_PACKAGES = {"service", "schemas", "jobs", "migrations"}


def requirements(name: str) -> list[tuple[Requirement, list[str]]]:
    """Return each requirement with its hashes, with continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / name).read_text())
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=", line)
            found.append((Requirement(requirement.strip()), hashes))
    return found


def test_app_json_requires_postgresql_and_generates_secret() -> None:
    app = json.loads((ROOT / "app.json").read_text())
    assert "heroku-postgresql" in [addon["plan"].partition(":")[0] for addon in app["addons"]]
    assert app["env"]["SECRET_KEYS"]["generator"] == "secret"
    assert set(app["formation"]) == {"web", "worker"}
    assert [pack["url"] for pack in app["buildpacks"]] == ["heroku/python"]


def test_app_json_contains_no_secret_values() -> None:
    app = json.loads((ROOT / "app.json").read_text())
    assert {name for name, setting in app["env"].items() if "value" in setting} <= {"GATEWAY", "LOG_LEVEL"}


def test_procfile_has_exactly_three_processes() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["release", "web", "worker"]


def test_python_version_matches_mypy_and_ruff() -> None:
    version = (ROOT / ".python-version").read_text().strip()
    assert version in SpecifierSet(PROJECT["project"]["requires-python"])
    assert PROJECT["tool"]["mypy"]["python_version"] == version
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{version.replace('.', '')}"


def test_requirements_are_pinned_and_hashed_without_urls() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert "://" not in re.sub(r"#.*", "", (ROOT / name).read_text()), name
        listed = requirements(name)
        assert listed, name
        for requirement, hashes in listed:
            assert requirement.url is None, requirement
            assert [pin.operator for pin in requirement.specifier] == ["=="], requirement
            assert hashes, requirement
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


def test_every_import_is_a_direct_requirement() -> None:
    listed = {canonicalize_name(requirement.name) for requirement, _ in requirements("requirements.txt")}
    distributions = packages_distributions()
    missing = {
        name: sorted(places)
        for name, places in imports().items()
        if not {canonicalize_name(found) for found in distributions.get(name, ())} & listed
    }
    assert missing == {}


def test_direct_requirements_match_pyproject() -> None:
    listed = {canonicalize_name(requirement.name) for requirement, _ in requirements("requirements.txt")}
    direct = {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}
    assert direct <= listed


def imports() -> dict[str, set[str]]:
    """Return the third-party modules that our packages import, with the importing files."""
    found: dict[str, set[str]] = {}
    for package in OWN_PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            tree = ast.parse(file.read_text())
            # Imports for type checking are not needed at run time.
            skipped = {id(inner) for node in ast.walk(tree) if _is_for_types(node) for inner in ast.walk(node)}
            for node in ast.walk(tree):
                names = []
                if id(node) in skipped:
                    continue
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module]
                for name in names:
                    top = name.partition(".")[0]
                    if top not in OWN_PACKAGES and top not in sys.stdlib_module_names:
                        found.setdefault(top, set()).add(str(file.relative_to(ROOT)))
    return found


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_app_json_requires_what_production_does_not_start_without() -> None:
    settings = json.loads((ROOT / "app.json").read_text())["env"]
    required = {
        name for name, setting in settings.items() if setting.get("required", True) and "value" not in setting
    }
    assert required == {"SECRET_KEYS", "PUBLIC_URL", "MAIL_URL", "MAIL_FROM"}


# Heroku sets these itself, their defaults suit nearly everyone, or they are for tests and demonstrations.
NOT_ASKED_BY_THE_BUTTON = {
    *("DATABASE_URL", "HOST", "MAINSTAY_ENV", "PORT", "TRUSTED_PROXIES", "WEB_CONCURRENCY"),
    *("DATABASE_LOCK_TIMEOUT", "DATABASE_STATEMENT_TIMEOUT", "REQUEST_TIMEOUT", "RESPONSE_TIMEOUT"),
    *("LEASE_SECONDS", "LOG_LEVEL", "MAIL_PER_CONNECTION"),
    *("MONTH_SECONDS", "STRIPE_API_BASE"),
}


def test_app_json_has_every_other_setting_of_the_readme() -> None:
    asked = json.loads((ROOT / "app.json").read_text())["env"].keys()
    rows = re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    described = {name for row in rows for name in re.findall("[A-Z_]+", row)}
    assert len(described) > 30
    assert asked ^ described == NOT_ASKED_BY_THE_BUTTON


def test_app_json_is_indented_by_depth() -> None:
    depth = 0
    for line in (ROOT / "app.json").read_text().splitlines():
        brackets = re.sub(r'"(\\.|[^"\\])*"', "", line)
        closes_first = brackets.strip().startswith(("}", "]"))
        assert len(line) - len(line.lstrip(" ")) == 2 * (depth - closes_first), line
        depth += sum(brackets.count(opening) for opening in "{[") - sum(
            brackets.count(closing) for closing in "}]"
        )
    assert depth == 0


def test_readme_deploys_to_heroku_in_eight_commands_that_start() -> None:
    section = (ROOT / "README.md").read_text().partition("## Deploy it")[2]
    # Heroku reads app.json of the repository that the button is in.
    assert "](https://www.heroku.com/deploy)" in section
    commands = section.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert len(commands) == 8
    assert all(command.startswith(("heroku ", "git push heroku ")) for command in commands)
    configured = [command.removeprefix("heroku config:set ") for command in commands if "config:set" in command]
    pairs = [
        pair.partition("=")
        for line in configured
        for pair in shlex.split(line.replace("$(openssl rand -hex 32)", KEYS))
    ]
    settings = read_settings(
        {name: value for name, _, value in pairs}
        | {
            "DYNO": "web.1",
            "DATABASE_URL": "postgres://user:password@host/name",
            "HEROKU_APP_DEFAULT_DOMAIN_NAME": "paper-1234.herokuapp.com",
        }
    )
    assert settings.public_url == "https://paper-1234.herokuapp.com"
    assert settings.mail.sender == "The Paper <support@paper.example>"
