"""Dockerfile, .dockerignore and compose.yaml: rules of their trade, and their steps run without Docker."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import requests
import yaml

from service.cli import cli
from service.settings import read_settings
from tests.conftest import make_database
from tests.deploy.container_files import (
    INTERPOLATION,
    Image,
    interpolate,
    is_sent_to_the_build,
    read_compose,
    read_dockerfile,
)
from tests.processes import KEYS, ROOT, free_port, running, wait_until
from tests.setting_names import setting_names

STAGES = read_dockerfile()
FINAL = STAGES[-1]
COMPOSE = read_compose()
SERVICES = COMPOSE["services"]
OURS = ("migrate", "web", "worker")
# What Compose refuses to start without.
REQUIRED = {"POSTGRES_PASSWORD": "a-password-of-a-test", "SECRET_KEYS": KEYS}
SECRET_NAME = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|LOGIN")
EXEC_FORM = ("CMD", "ENTRYPOINT")


def is_pinned(image: str) -> bool:
    """Whether an image has a tag with a version, and comes from where Docker looks by default."""
    name, _, tag = image.partition(":")
    return bool(re.match(r"v?[0-9]", tag)) and "latest" not in tag and "." not in name.partition("/")[0]


def test_base_images_are_pinned() -> None:
    bases = {stage.base for stage in STAGES}
    assert all(is_pinned(base) for base in bases)
    version = (ROOT / ".python-version").read_text().strip()
    assert bases == {f"python:{version}-slim-bookworm"}


@pytest.mark.parametrize("image", ["python", "python:latest", "python:slim", "registry.example/python:3.11"])
def test_image_without_version_is_not_pinned(image: str) -> None:
    assert not is_pinned(image)


def test_image_runs_as_a_user_without_rights() -> None:
    (user,) = FINAL.all("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    names = [name for name, _ in FINAL.steps]
    # What comes after would belong to that user.
    assert not {"RUN", "COPY"} & set(names[names.index("USER") :])


def test_commands_are_in_exec_form() -> None:
    for name in EXEC_FORM:
        (arguments,) = FINAL.all(name)
        assert all(isinstance(part, str) for part in json.loads(arguments))
    (healthcheck,) = FINAL.all("HEALTHCHECK")
    assert json.loads(healthcheck.partition(" CMD ")[2])[0] == "python"


def test_dockerfile_does_without_what_linters_warn_of() -> None:
    for stage in STAGES:
        assert not stage.all("ADD")
        assert not stage.all("ARG")
        assert all(path.startswith("/") for path in stage.all("WORKDIR"))
        assert not any(source.split()[0] in (".", "./", "*") for source in stage.all("COPY"))
        for command in stage.all("RUN"):
            assert not re.search(r"\bsudo\b|apt-get|\bcurl\b|\bwget\b|https?:", command), command
        for pairs in stage.all("ENV"):
            assert not SECRET_NAME.search(re.sub(r"PYTHON\w+", "", pairs)), pairs


def test_packages_are_installed_by_hash_before_the_code_is_copied() -> None:
    (install,) = [command for command in STAGES[0].all("RUN") if " install " in command]
    assert {"--require-hashes", "--no-cache-dir", "--only-binary", "requirements.txt"} <= set(install.split())
    assert STAGES[0].all("COPY") == ["requirements.txt ./"]
    # Nothing of the first stage but the packages gets into the image.
    assert [copy for copy in FINAL.all("COPY") if "--from" in copy] == [
        f"--from={STAGES[0].name} /opt/mainstay /opt/mainstay"
    ]


def test_build_gets_nothing_but_what_the_image_needs() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sent = {path for path in tracked.splitlines() if is_sent_to_the_build(path)}
    folders = {"service", "schemas", "jobs", "migrations"}
    assert {path.partition("/")[0] for path in sent} == folders | {"requirements.txt", "scripts"}
    assert {path for path in sent if path.startswith("scripts/")} == {"scripts/link_checkout.py"}
    for secret in (
        ".env",
        "var/mainstay.db",
        "service/__pycache__/cli.cpython-311.pyc",
        ".git/config",
        "pledges.csv",
    ):
        assert not is_sent_to_the_build(secret), secret


def test_compose_has_every_process_and_what_they_need() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "mail"}
    assert {name: SERVICES[name]["command"] for name in OURS} == {
        "migrate": ["migrate"],
        "web": ["serve"],
        "worker": ["worker"],
    }
    assert {command for name in OURS for command in SERVICES[name]["command"]} <= set(cli.commands)
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
        assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert "healthcheck" in SERVICES["postgres"]
    assert "healthcheck" in SERVICES["mail"]


def test_compose_pins_images_and_keeps_the_database_on_a_volume() -> None:
    assert all(is_pinned(SERVICES[name]["image"]) for name in ("postgres", "mail"))
    for volume in SERVICES["postgres"]["volumes"]:
        assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_compose_opens_ports_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_container_has_no_rights_and_writes_nowhere(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_compose_has_no_default_for_a_secret() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for match in INTERPOLATION.finditer(text):
        if SECRET_NAME.search(match["name"]):
            assert match["kind"] == "?" or not match["rest"], match[0]
    for service in SERVICES.values():
        for setting, value in service.get("environment", {}).items():
            if SECRET_NAME.search(setting):
                assert value.startswith("${"), setting


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_compose_says_how_to_make_a_missing_secret(missing: str) -> None:
    given = {name: value for name, value in REQUIRED.items() if name != missing}
    with pytest.raises(LookupError, match=f"Put {missing} into .env; make one with openssl rand -hex 32"):
        compose_settings("web", given)


def compose_settings(service: str, variables: dict[str, str]) -> dict[str, str]:
    """Return the environment that Compose gives a service."""
    return {name: interpolate(str(value), variables) for name, value in SERVICES[service]["environment"].items()}


@pytest.mark.parametrize("service", OURS)
def test_settings_of_compose_are_accepted(service: str) -> None:
    settings = read_settings(compose_settings(service, REQUIRED))
    assert settings.mail.server_address == "mail:1025"
    assert not settings.is_production
    production = REQUIRED | {"MAINSTAY_ENV": "production", "PUBLIC_URL": "https://support.paper.example"}
    assert read_settings(compose_settings(service, production)).is_production


def test_every_setting_in_compose_exists() -> None:
    known = setting_names()
    for service in OURS:
        assert set(SERVICES[service]["environment"]) <= known


def test_compose_file_has_no_key_twice() -> None:
    """YAML takes the last of two equal keys without a word, and Compose refuses the file."""

    class Loader(yaml.SafeLoader):
        pass

    def construct(loader: Loader, node: yaml.MappingNode) -> dict:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        loader.flatten_mapping(node)
        return loader.construct_mapping(node)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct)
    yaml.load((ROOT / "compose.yaml").read_text(), Loader)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path / "image")


def test_steps_run_without_docker(image: Image, worker_id: str, tmp_path: Path) -> None:
    database = make_database(f"mainstay_image_{worker_id}").replace("postgresql+psycopg://", "postgresql://")
    port, log = free_port(), tmp_path / "log"
    settings = compose_settings("web", REQUIRED | {"PUBLIC_URL": f"http://localhost:{port}"})
    env = image.environment | settings | {"DATABASE_URL": database, "PORT": str(port), "HOST": "127.0.0.1"}
    folder = image.folder

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
        )

    healthcheck = (image.program(image.healthcheck[0]), *image.healthcheck[1:])
    assert run(*healthcheck).returncode != 0
    migrated = run(*image.start(SERVICES["migrate"]["command"]))
    assert migrated.returncode == 0, migrated.stderr
    assert "The database is up to date." in migrated.stdout
    with (
        running("env", "-C", str(folder), *image.start(SERVICES["web"]["command"]), log=log, env=env),
        running("env", "-C", str(folder), *image.start(SERVICES["worker"]["command"]), log=log, env=env),
    ):
        wait_until(lambda: _is_ready(port), what=f"/readyz to be 200, see {log}")
        checked = run(*healthcheck)
        assert checked.returncode == 0, checked.stderr
        page = requests.get(f"http://127.0.0.1:{port}/support/default", timeout=60)
        assert page.status_code == 200
    assert "Traceback" not in log.read_text()
    # All that runs is in the image.
    assert str(ROOT) not in log.read_text()


def _is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=30).status_code == 200
    except requests.ConnectionError:
        return False


def test_image_alone_refuses_to_start_as_a_demo(image: Image) -> None:
    refused = subprocess.run(
        image.start(),
        cwd=image.folder,
        env=image.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert refused.returncode == 1
    assert refused.stdout == ""
    for setting in ("DATABASE_URL", "SECRET_KEYS", "MAIL_URL", "PUBLIC_URL"):
        assert f"{setting} must be" in refused.stderr
