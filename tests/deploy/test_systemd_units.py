"""deploy/: the unit files and the settings of a server of one's own."""

import os
import shutil
import socket
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from service.cli import cli
from service.processes import serve
from service.setting_values import SettingsError
from service.settings import read_settings
from tests.deploy.test_production import SERVE
from tests.processes import KEYS, ROOT, environment, free_port, running

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
PROGRAM = "/srv/mainstay/.venv/bin/mainstay"
ENV_FILE = ROOT / "deploy/mainstay.env"
# Of 10. systemd calls up to 2 "OK", and the usual service without any of these lines has 9.6.
MAX_EXPOSURE = 2


def read_unit(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


def read_env_file(**filled_in: str) -> dict[str, str]:
    """Return the settings of deploy/mainstay.env, with what an operator fills in."""
    lines = [line for line in ENV_FILE.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines) | filled_in


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_unit_starts_a_command_as_a_user_without_rights(path: Path) -> None:
    service = read_unit(path)["Service"]
    program, _, command = service["ExecStart"].partition(" ")
    if program == PROGRAM:
        assert command in cli.commands
    else:
        assert path.stem == "mainstay-backup"
    assert service["User"] == service["Group"] == "mainstay"
    assert service["WorkingDirectory"] == "/srv/mainstay"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""


def test_there_is_a_unit_for_each_process_of_the_procfile() -> None:
    commands = {read_unit(path)["Service"]["ExecStart"].removeprefix(f"{PROGRAM} ") for path in UNITS}
    procfile = (ROOT / "Procfile").read_text().splitlines()
    assert {line.rpartition(" ")[2] for line in procfile} < commands


def test_restart_waits_for_what_is_under_way() -> None:
    web, worker = (
        read_unit(ROOT / f"deploy/systemd/mainstay-{name}.service")["Service"] for name in ("web", "worker")
    )
    assert (web["Restart"], worker["Restart"]) == ("always", "always")
    # gunicorn gives running requests 20 seconds; a reply of the mail server may take 30.
    assert int(web["TimeoutStopSec"]) > 20
    assert int(worker["TimeoutStopSec"]) > 30


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for path in [*UNITS, ROOT / "deploy/systemd/mainstay-backup.timer"]:
        text = path.read_text().replace(PROGRAM, "/bin/true").replace("file:/srv", "file:///srv")
        (tmp_path / path.name).write_text(text)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in checked.stderr.splitlines() if "mainstay" in line]
    assert ours == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_unit_exposes_little(path: Path) -> None:
    checked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MAX_EXPOSURE * 10}", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert checked.returncode == 0, checked.stdout


def test_systemd_is_notified_when_the_web_process_is_up(migrated_database: str, tmp_path: Path) -> None:
    """With Type=notify, systemd would otherwise stop a service that runs well."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(address))
        receiver.settimeout(60)
        env = environment(migrated_database, PORT=str(free_port()), NOTIFY_SOCKET=str(address))
        with running(*SERVE, log=tmp_path / "log", env=env) as process:
            message, sender = receiver.recv(4096), process.pid
    assert b"READY=1" in message.splitlines()
    assert read_unit(ROOT / "deploy/systemd/mainstay-web.service")["Service"]["Type"] == "notify"
    # systemd believes the process that it started, and no child.
    assert sender
    assert serve.__doc__ == "Replace this process by the web process."


def test_settings_of_a_server_start_once_they_are_filled_in() -> None:
    filled_in = {"SECRET_KEYS": KEYS, "MAIL_URL": "smtp://u:p@mail.example:587?tls=starttls"}
    settings = read_settings(read_env_file(**filled_in))
    assert settings.is_production
    assert (settings.host, settings.trusted_proxies) == ("127.0.0.1", 1)


def test_settings_of_a_server_hold_no_secret() -> None:
    assert read_env_file()["SECRET_KEYS"] == ""
    with pytest.raises(SettingsError, match="SECRET_KEYS must be a key of your own"):
        read_settings(read_env_file(MAIL_URL="smtp://mail.example"))
