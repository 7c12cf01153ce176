"""The architecture page and the contributor's guide name only paths and functions that exist."""

import re

import pytest

from tests.processes import ROOT

GUIDES = ("docs/architecture.md", "CONTRIBUTING.md")
LINKING = (
    *GUIDES,
    "README.md",
    "CHANGELOG.md",
    *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
)
TOP_LEVEL = (
    "service/",
    "schemas/",
    "jobs/",
    "tests/",
    "migrations/",
    "widget/",
    "docs/",
    "scripts/",
    "benchmarks/",
)
# `path/to/file.py` or `path/to/folder/` in code font, and [text](path) without an anchor.
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
FUNCTION = re.compile(r"^(\w+)\(\)$")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_spans(name: str) -> list[str]:
    return CODE.findall(re.sub(r"^```.*?^```", "", read(name), flags=re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("name", GUIDES)
def test_every_named_path_exists(name: str) -> None:
    paths = [span for span in code_spans(name) if span.startswith(TOP_LEVEL) or span == "pyproject.toml"]
    assert len(paths) >= 15
    assert [path for path in paths if not list(ROOT.glob(path))] == []


@pytest.mark.parametrize("name", GUIDES)
def test_every_named_function_is_defined(name: str) -> None:
    functions = {found.group(1) for span in code_spans(name) if (found := FUNCTION.match(span))}
    assert functions
    source = "".join(
        path.read_text(encoding="utf-8")
        for package in ("service", "jobs")
        for path in (ROOT / package).rglob("*.py")
    )
    assert {function for function in functions if f"def {function}(" not in source} == set()


@pytest.mark.parametrize("name", sorted(set(LINKING)))
def test_every_relative_link_leads_to_a_file(name: str) -> None:
    folder = (ROOT / name).parent
    assert [target for target in LINK.findall(read(name)) if not (folder / target).exists()] == []
