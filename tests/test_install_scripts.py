"""The install scripts of `make` on a bare machine: announcements, and errors with advice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.chromium import MACOS
from tests.processes import ROOT

pytestmark = pytest.mark.skipif(MACOS.exists(), reason="this Mac has the browser whose absence is tested")


class BareMachine:
    """A checkout's folder, and a PATH with a shell, a Python without `venv` and the programs that a test adds."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.on_path = folder / "checkout", folder / "bin"
        self.installed = folder / "installed"
        self.on_path.mkdir()
        for tool in ("sh", "dirname"):
            (self.on_path / tool).symlink_to(shutil.which(tool))
        self.set_user("1000")
        self.add(self.on_path / "python3", 'case "$*" in *ensurepip*) exit 1;; esac')

    def set_user(self, user: str) -> None:
        """Run the scripts as the user with this number; root is 0."""
        self.add(self.on_path / "id", f"echo {user}")

    def add_apt(self, exit_code: int = 0) -> None:
        """Add an apt-get that records its arguments."""
        self.add(self.on_path / "apt-get", f'echo "$*" >> "{self.installed}"; exit {exit_code}')

    def add_playwright(self, exit_code: int, chromium: str = "exit 0") -> None:
        """Add the checkout's own tools: a Playwright that downloads this Chromium, and its Node and Python."""
        self.add(self.checkout / "chromium", chromium)
        self.add(self.checkout / ".venv" / "bin" / "node", "echo /wheel/node")
        self.add(self.checkout / ".venv" / "bin" / "python", f'echo "{self.checkout / "chromium"}"')
        command = f'echo "$PLAYWRIGHT_NODEJS_PATH $*" > "{self.installed}"; exit {exit_code}'
        self.add(self.checkout / ".venv" / "bin" / "playwright", command)

    @staticmethod
    def add(program: Path, script: str) -> None:
        """Add a shell script as a program."""
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run one of the install scripts on this machine."""
        self.checkout.mkdir(exist_ok=True)
        return subprocess.run(
            ["/bin/sh", ROOT / "scripts" / name],
            cwd=self.checkout,
            env={"PATH": str(self.on_path), "SERVER_FOLDERS": str(self.on_path)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    return BareMachine(tmp_path)


def test_root_gets_notice_before_apt_installs_browser(machine: BareMachine) -> None:
    machine.set_user("0")
    machine.add_apt()
    response = machine.run("need-browser")
    assert response.returncode == 0
    assert response.stdout == (
        "Installing chromium chromium-headless-shell fonts-dejavu-core with apt-get: "
        "the browser tests need Chromium.\n"
    )
    update, install = machine.installed.read_text().splitlines()
    assert update.startswith("update")
    assert install.endswith("chromium chromium-headless-shell fonts-dejavu-core")


@pytest.mark.parametrize("script", ["need-browser", "make-venv"])
def test_apt_failure_is_reported_in_one_sentence(machine: BareMachine, script: str) -> None:
    machine.set_user("0")
    machine.add_apt(exit_code=100)
    response = machine.run(script)
    assert response.returncode == 1
    assert response.stderr.startswith("apt-get could not install ")
    assert response.stderr.count("\n") == 1


def test_missing_servers_are_installed_by_apt_or_named_with_the_command(machine: BareMachine) -> None:
    response = machine.run("need-servers")
    assert response.returncode == 1
    assert response.stderr == (
        "The tests need pgbouncer php-cli: install what is missing "
        "(Debian: sudo apt-get install pgbouncer php-cli) and run make test again.\n"
    )
    machine.set_user("0")
    machine.add_apt()
    response = machine.run("need-servers")
    assert (response.returncode, response.stderr) == (0, "")
    assert response.stdout == "Installing pgbouncer php-cli with apt-get: the tests start them.\n"
    assert machine.installed.read_text().splitlines()[-1].endswith("--no-install-recommends pgbouncer php-cli")


def test_missing_firefox_is_installed_by_apt_or_named_with_the_command(machine: BareMachine) -> None:
    response = machine.run("need-firefox")
    assert response.returncode == 1
    assert response.stderr == (
        "The tests of the support box need Firefox: install it (Debian: sudo apt-get install firefox-esr) "
        "and run make test again.\n"
    )
    machine.set_user("0")
    machine.add_apt()
    response = machine.run("need-firefox")
    assert (response.returncode, response.stderr) == (0, "")
    assert machine.installed.read_text().splitlines()[-1].endswith("--no-install-recommends firefox-esr")
    machine.installed.unlink()
    machine.add(machine.on_path / "firefox-esr", "exit 0")
    assert machine.run("need-firefox").stdout == ""
    assert not machine.installed.exists()


def test_installed_servers_are_not_installed_again(machine: BareMachine) -> None:
    machine.set_user("0")
    machine.add_apt()
    for program in ("pgbouncer", "php"):
        machine.add(machine.on_path / program, "exit 0")
    response = machine.run("need-servers")
    assert (response.returncode, response.stdout, response.stderr) == (0, "", "")


def test_installed_browser_is_not_replaced(machine: BareMachine) -> None:
    machine.set_user("0")
    machine.add_apt()
    machine.add(machine.on_path / "chromium", "exit 0")
    response = machine.run("need-browser")
    assert (response.returncode, response.stdout, response.stderr) == (0, "", "")
    assert not machine.installed.exists()


def test_ordinary_user_downloads_browser_with_node_of_wheel(machine: BareMachine) -> None:
    machine.add_apt()
    machine.add_playwright(exit_code=0)
    response = machine.run("need-browser")
    assert (response.returncode, response.stderr) == (0, "")
    assert machine.installed.read_text() == "/wheel/node install chromium\n"


def test_offline_machine_gets_advice_to_install_browser(machine: BareMachine) -> None:
    machine.add_playwright(exit_code=1)
    response = machine.run("need-browser")
    assert response.returncode == 1
    assert response.stderr == (
        "The tests need Chromium, and Playwright could not download it: install it "
        "(Debian: sudo apt-get install chromium; macOS: Google Chrome) and run make test again.\n"
    )


def test_missing_browser_libraries_error_names_install_command(
    machine: BareMachine,
) -> None:
    machine.add_playwright(exit_code=0, chromium="exit 127")
    response = machine.run("need-browser")
    assert response.returncode == 1
    assert "sudo .venv/bin/playwright install-deps chromium" in response.stderr


def test_missing_venv_error_names_package(machine: BareMachine) -> None:
    machine.add_apt()
    response = machine.run("make-venv")
    assert response.returncode == 1
    assert response.stderr == "This Python has no 'venv'. On Debian run: sudo apt-get install python3-venv\n"
    # Nothing is announced, because nothing will be installed.
    assert machine.run("announce-installs").stdout == ""


def test_announcement_names_what_comes_from_apt(machine: BareMachine) -> None:
    machine.set_user("0")
    machine.add_apt()
    assert machine.run("announce-installs").stdout == (
        "make test installs what it needs first: python3-venv (apt-get); Python packages into .venv/ (pip); "
        "the widget's tools into widget/node_modules/ (npm); "
        "chromium chromium-headless-shell fonts-dejavu-core (apt-get); firefox-esr (apt-get); "
        "pgbouncer php-cli (apt-get).\n"
    )
    assert not machine.installed.exists()


@pytest.mark.parametrize(
    ("changed", "announced"),
    [
        (None, ""),
        ("requirements-dev.txt", "make test installs what it needs first: Python packages into .venv/ (pip).\n"),
    ],
)
def test_announcement_names_only_what_is_missing(
    machine: BareMachine, changed: str | None, announced: str
) -> None:
    for program in ("chromium", "firefox-esr", "pgbouncer", "php"):
        machine.add(machine.on_path / program, "exit 0")
    machine.add(machine.checkout / ".venv" / "bin" / "pip", "exit 0")
    (machine.checkout / "widget" / "node_modules").mkdir(parents=True)
    sources = ("requirements-dev.txt", "widget/package-lock.json")
    for name in (*sources, ".venv/dev.stamp", "widget/node_modules/.stamp"):
        (machine.checkout / name).touch()
    for name in sources:
        os.utime(machine.checkout / name, (0, 4_000_000_000 if name == changed else 0))
    response = machine.run("announce-installs")
    assert (response.returncode, response.stdout, response.stderr) == (0, announced, "")
