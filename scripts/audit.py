"""Checks dependencies and code for known vulnerabilities, risky calls and licences: `make audit`.

A finding ends with exit code 1. A check that cannot be made, because a registry does not answer, says "not
checked": by hand that ends with 1 too, and with 0 in continuous integration (`CI` is set), where a registry that
is down should not stop a release.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 300
# Licences under which Mainstay, itself under MIT, may use a package. LGPL and MPL allow use without changes.
ALLOWED_LICENCES = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software|MPL|Mozilla Public|LGPL|Lesser General Public|Unlicense|Zlib",
    re.IGNORECASE,
)


class Result(StrEnum):
    """What a check came to."""

    OK = "ok"
    FOUND = "FOUND"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Report:
    """The result of one check, in one sentence, and its findings, one a line."""

    result: Result
    summary: str
    findings: Sequence[str] = ()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool in the repository; one that is missing or takes too long answers like one that failed."""
    try:
        return subprocess.run(  # noqa: S603 - the commands are below
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(
            command, 124, "", f"{command[0]} did not answer within {TIMEOUT_SECONDS} s"
        )


def read_json(output: str) -> Any:
    """Return the value that a tool printed, or None if it printed none."""
    try:
        return json.loads(output)
    except ValueError:
        return None


def not_checked(tool: subprocess.CompletedProcess[str]) -> Report:
    """Report a tool that gave no answer, with the last line it wrote."""
    lines = [line.strip() for line in (tool.stderr or tool.stdout).splitlines() if line.strip()]
    return Report(Result.NOT_CHECKED, lines[-1] if lines else f"exit code {tool.returncode}")


def check_python_packages() -> Report:
    """Look up each pinned Python package, of the service and of its tests, for known vulnerabilities."""
    packages, findings, skipped = 0, [], 0
    for requirements in ("requirements.txt", "requirements-dev.txt"):
        tool = run("pip-audit", "--disable-pip", "--require-hashes", "--format=json", "-r", requirements)
        answer = read_json(tool.stdout)
        if answer is None:
            return not_checked(tool)
        for package in answer["dependencies"]:
            packages += 1
            skipped += "skip_reason" in package
            findings += [
                f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in "
                f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
                for vulnerability in package.get("vulns", ())
            ]
    if findings:
        return Report(Result.FOUND, "known vulnerabilities; update with LOCK_ARGS=--upgrade make lock", findings)
    if skipped:
        return Report(Result.NOT_CHECKED, f"the index did not answer for {skipped} of {packages} packages")
    return Report(Result.OK, f"{packages} packages, no known vulnerability")


def check_widget_tools() -> Report:
    """Look up the tools that build and test the widget; the widget itself contains no package."""
    tool = run("npm", "--prefix", "widget", "audit", "--json")
    answer = read_json(tool.stdout)
    if not isinstance(answer, dict) or "vulnerabilities" not in answer:
        message = answer.get("message") if isinstance(answer, dict) else None
        return Report(Result.NOT_CHECKED, message) if message else not_checked(tool)
    findings = [f"{name}: {found['severity']}" for name, found in answer["vulnerabilities"].items()]
    if findings:
        return Report(Result.FOUND, "known vulnerabilities; update with npm audit fix in widget/", findings)
    return Report(Result.OK, f"{answer['metadata']['dependencies']['total']} packages, no known vulnerability")


def check_code() -> Report:
    """Look for risky calls; the linter has the same rules at every commit, and more."""
    tool = run("bandit", "--quiet", "-ll", "--format=json", "-r", "service", "schemas", "jobs", "migrations")
    answer = read_json(tool.stdout)
    if answer is None:
        return not_checked(tool)
    findings = [
        f"{found['filename']}:{found['line_number']}: {found['issue_text']} ({found['test_id']})"
        for found in answer["results"]
    ]
    if findings:
        return Report(Result.FOUND, "risky calls", findings)
    return Report(Result.OK, f"{answer['metrics']['_totals']['loc']:,} lines, no risky call")


def check_licences() -> Report:
    """Compare the licence of each package that the service runs with with those that its own allows."""
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    tool = run("pip-licenses", "--python", sys.executable, "--format=json", "--packages", *names)
    answer = read_json(tool.stdout)
    if answer is None:
        return not_checked(tool)
    findings = [
        f"{package['Name']} {package['Version']}: {package['License'].splitlines()[0]}"
        for package in answer
        if not ALLOWED_LICENCES.search(package["License"])
    ]
    if findings:
        return Report(Result.FOUND, "licences that have not been reviewed", findings)
    return Report(Result.OK, f"{len(answer)} packages, all under a licence that allows the use")


CHECKS: dict[str, Callable[[], Report]] = {
    "Python packages": check_python_packages,
    "widget's tools": check_widget_tools,
    "code": check_code,
    "licences": check_licences,
}


def main() -> int:
    """Make every check, print what each came to, and return the exit code."""
    reports = []
    for name, check in CHECKS.items():
        report = check()
        reports.append(report)
        print(f"{name + ':':17} {report.result}: {report.summary}", flush=True)  # noqa: T201 - a command's output
        for finding in report.findings:
            print(f"    {finding}")  # noqa: T201 - a command's output
    results = {report.result for report in reports}
    if Result.FOUND in results:
        return 1
    return int(Result.NOT_CHECKED in results and not os.environ.get("CI"))


if __name__ == "__main__":
    sys.exit(main())
