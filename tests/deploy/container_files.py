"""Reads the Dockerfile, .dockerignore and compose.yaml, and runs the image's steps in a folder, without Docker."""

import fnmatch
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name

from tests.processes import ROOT

INTERPOLATION = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)==", re.MULTILINE)


@dataclass
class Stage:
    """One stage of a Dockerfile: its base image, its name, and its instructions in order."""

    base: str
    name: str | None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Return the arguments of each use of an instruction."""
        return [arguments for name, arguments in self.steps if name == instruction]


def read_dockerfile() -> list[Stage]:
    """Return the stages of the Dockerfile."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text())
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        instruction, _, arguments = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            stages.append(Stage(base, name or None))
        elif instruction:
            stages[-1].steps.append((instruction, arguments.strip()))
    return stages


def is_sent_to_the_build(path: str) -> bool:
    """Whether .dockerignore lets a file through; the last rule that matches it decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#"):
            pattern = rule.removeprefix("!")
            parts = path.split("/")
            prefixes = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
            anywhere = pattern.removeprefix("**/")
            names = parts if anywhere != pattern else prefixes
            if any(fnmatch.fnmatch(name, anywhere) for name in names):
                sent = rule.startswith("!")
    return sent


def read_compose() -> dict:
    """Return compose.yaml with its anchors resolved and its variables not yet replaced."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def interpolate(value: str, variables: dict[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as Compose does.

    Raises:
        LookupError: a required variable is not set; the message is Compose's.
    """

    def replace(match: re.Match[str]) -> str:
        given = variables.get(match["name"], "")
        if not given and match["kind"] == "?":
            raise LookupError(match["rest"])
        return given or (match["rest"] if match["kind"] == "-" else "")

    return INTERPOLATION.sub(replace, value)


class Image:
    """The folder that the steps of the Dockerfile make, in the place of an image's root.

    The packages are those of the tests' own environment, but only the pinned ones that the Dockerfile installs.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.root = root
        self.environment: dict[str, str] = {"PATH": "/usr/bin:/bin"}
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.healthcheck: list[str] = []
        self.folder = root
        for stage in read_dockerfile():
            self.folder = root
            for instruction, arguments in stage.steps:
                getattr(self, f"_{instruction.lower()}", lambda _arguments: None)(arguments)

    def inside(self, text: str) -> str:
        """Return a command or value with the paths of the image where they are here."""
        return re.sub(r"(?<![\w.])/(opt|srv)/mainstay", rf"{self.root}/\1/mainstay", text)

    def _workdir(self, path: str) -> None:
        self.folder = Path(self.inside(path))
        self.folder.mkdir(parents=True, exist_ok=True)

    def _env(self, pairs: str) -> None:
        for pair in pairs.split():
            name, _, value = pair.partition("=")
            self.environment[name] = self.inside(value).replace("$PATH", self.environment["PATH"])

    def _copy(self, arguments: str) -> None:
        if arguments.startswith("--from="):
            return
        source, target = arguments.split()
        for path in sorted((ROOT / source).rglob("*")) if (ROOT / source).is_dir() else [ROOT / source]:
            name = str(path.relative_to(ROOT))
            if path.is_file() and is_sent_to_the_build(name):
                is_folder = (ROOT / source).is_dir()
                inner = path.relative_to(ROOT / source) if is_folder else Path(path.name)
                destination = self.folder / target / inner
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, destination)

    def _run(self, command: str) -> None:
        if command.startswith("groupadd"):
            return
        if "pip install" in command:
            self._link_packages()
            return
        # The image's python is on its PATH.
        command = command.replace("python -m venv", f"{sys.executable} -m venv --without-pip")
        subprocess.run(["sh", "-ec", self.inside(command)], cwd=self.folder, check=True, timeout=300)

    def _link_packages(self) -> None:
        names = {canonicalize_name(name) for name in REQUIREMENT.findall((ROOT / "requirements.txt").read_text())}
        target = next((self.root / "opt/mainstay/lib").glob("python*/site-packages"))
        source = Path(sysconfig.get_path("purelib"))
        for distribution in importlib.metadata.distributions(path=[str(source)]):
            if canonicalize_name(distribution.name) in names:
                for top in {
                    path.parts[0]
                    for path in distribution.files or ()
                    if path.parts[0] not in ("..", "__pycache__")
                }:
                    if not (target / top).exists():
                        (target / top).symlink_to(source / top)

    def _entrypoint(self, arguments: str) -> None:
        self.entrypoint = json.loads(arguments)

    def _cmd(self, arguments: str) -> None:
        self.command = json.loads(arguments)

    def _healthcheck(self, arguments: str) -> None:
        self.healthcheck = json.loads(arguments.partition(" CMD ")[2])

    def start(self, command: list[str] | None = None) -> tuple[str, ...]:
        """Return the program that a container runs, as a path and its arguments."""
        program, *rest = [*self.entrypoint, *(command or self.command)]
        return self.program(program), *rest

    def program(self, name: str) -> str:
        """Return the path of a program on the image's PATH."""
        found = shutil.which(name, path=self.environment["PATH"])
        assert found, f"{name} is not on the image's PATH"
        return found
