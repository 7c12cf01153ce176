"""`make audit`: what it says, and its exit code, for each answer of the tools it runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

CLEAN = {
    "pip-audit": json.dumps({"dependencies": [{"name": "flask", "version": "3.1.3", "vulns": []}]}),
    "npm": json.dumps({"vulnerabilities": {}, "metadata": {"dependencies": {"total": 12}}}),
    "bandit": json.dumps({"results": [], "metrics": {"_totals": {"loc": 24000}}}),
    "pip-licenses": json.dumps([{"Name": "flask", "Version": "3.1.3", "License": "BSD-3-Clause"}]),
}


class Tools:
    """Stand-ins for the four tools, which are installed only for `make audit`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, output in CLEAN.items():
            self.add(name, output)

    def add(self, name: str, output: str, *, errors: str = "", exit_code: int = 0) -> None:
        """Let a tool print this, and end so."""
        program = self.folder / name
        program.write_text(
            f"#!/bin/sh\ncat <<'END'\n{output}\nEND\ncat >&2 <<'END'\n{errors}\nEND\nexit {exit_code}\n"
        )
        program.chmod(0o755)

    def run(self, *, is_ci: bool = False) -> tuple[int, str]:
        """Make the audit; return its exit code and what it printed."""
        path = f"{self.folder}{os.pathsep}/usr/bin{os.pathsep}/bin"
        process = subprocess.run(
            [sys.executable, ROOT / "scripts" / "audit.py"],
            env={"PATH": path} | ({"CI": "true"} if is_ci else {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not process.stderr
        return process.returncode, process.stdout


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


def test_clean_audit_says_what_was_checked(tools: Tools) -> None:
    exit_code, printed = tools.run()
    assert exit_code == 0
    assert printed == (
        "Python packages:  ok: 2 packages, no known vulnerability\n"
        "widget's tools:   ok: 12 packages, no known vulnerability\n"
        "code:             ok: 24,000 lines, no risky call\n"
        "licences:         ok: 1 packages, all under a licence that allows the use\n"
    )


FINDINGS = {
    "pip-audit": (
        {
            "dependencies": [
                {"name": "flask", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1"]}]},
                {"name": "click", "skip_reason": "Dependency not found"},
            ]
        },
        "flask 0.1: PYSEC-1, fixed in 3.1",
    ),
    "npm": ({"vulnerabilities": {"esbuild": {"severity": "high"}}}, "esbuild: high"),
    "bandit": (
        {"results": [{"filename": "a.py", "line_number": 3, "issue_text": "Use of exec.", "test_id": "B102"}]},
        "a.py:3: Use of exec. (B102)",
    ),
    "pip-licenses": ([{"Name": "x", "Version": "1", "License": "GPL-3.0-or-later"}], "x 1: GPL-3.0-or-later"),
}


@pytest.mark.parametrize("is_ci", [False, True])
@pytest.mark.parametrize("tool", FINDINGS)
def test_finding_is_named_and_fails_everywhere(tools: Tools, tool: str, is_ci: bool) -> None:
    answer, line = FINDINGS[tool]
    tools.add(tool, json.dumps(answer), exit_code=1)
    exit_code, output = tools.run(is_ci=is_ci)
    assert exit_code == 1
    assert f"    {line}\n" in output
    assert output.count("FOUND: ") == 1


UNANSWERED = {
    "pip-audit": ("", "Traceback\nConnectionError: no route to host", "ConnectionError: no route to host"),
    "npm": (json.dumps({"message": "405 Method Not Allowed"}), "npm error", "405 Method Not Allowed"),
    "bandit": ("", "", "exit code 2"),
    "pip-licenses": ("", "no such option", "no such option"),
}


@pytest.mark.parametrize(("is_ci", "exit_code"), [(False, 1), (True, 0)])
@pytest.mark.parametrize("tool", UNANSWERED)
def test_tool_without_an_answer_is_said_to_have_checked_nothing(
    tools: Tools, tool: str, is_ci: bool, exit_code: int
) -> None:
    output, errors, reason = UNANSWERED[tool]
    tools.add(tool, output, errors=errors, exit_code=2)
    code, printed = tools.run(is_ci=is_ci)
    assert code == exit_code
    assert f"not checked: {reason}\n" in printed


def test_index_that_knows_no_package_has_checked_nothing(tools: Tools) -> None:
    skipped = {"dependencies": [{"name": "flask", "skip_reason": "Dependency not found"}]}
    tools.add("pip-audit", json.dumps(skipped))
    code, printed = tools.run()
    assert code == 1
    assert "not checked: the index did not answer for 2 of 2 packages\n" in printed


def test_missing_tool_has_checked_nothing(tools: Tools) -> None:
    (tools.folder / "bandit").unlink()
    code, printed = tools.run()
    assert code == 1
    assert "code:             not checked: bandit is not installed\n" in printed
