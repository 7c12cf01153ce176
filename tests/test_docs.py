"""The documentation names only files, functions and headings that exist."""

import ast
import re

import pytest

from tests.processes import ROOT

STRIPE_CALLS = ("call", "retrieve", "call_idempotent")
PERMISSION_ROW = re.compile(r"^\| `(\w+)` \| `(?:GET|POST|DELETE) /v1/[^`]+` \| (.+) \|$", flags=re.MULTILINE)
GUIDES = ("docs/architecture.md", "CONTRIBUTING.md")
PAGES = sorted(str(path.relative_to(ROOT)) for pattern in ("*.md", "docs/**/*.md") for path in ROOT.glob(pattern))
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
    "deploy/",
)
CODE_BLOCK = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
CODE_SPAN = re.compile(r"`([^`\n]+)`")
FUNCTION = re.compile(r"`(\w+)\(\)`")
# "`name()` in `path`" and "`name()` (`path`)", also across a line break.
FUNCTION_IN_FILE = re.compile(r"`(\w+)\(\)`\s+(?:in\s+|\()`([\w/]+\.py)`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)")
HEADING = re.compile(r"^#+ (.+)$", flags=re.MULTILINE)


def read(name: str) -> str:
    return CODE_BLOCK.sub("", (ROOT / name).read_text(encoding="utf-8"))


def anchors(name: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    return {
        "#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(read(name))
    }


@pytest.mark.parametrize("name", GUIDES)
def test_every_named_path_exists(name: str) -> None:
    paths = [span for span in CODE_SPAN.findall(read(name)) if span.startswith(TOP_LEVEL)]
    assert len(paths) >= 15
    assert [path for path in paths if not list(ROOT.glob(path))] == []


@pytest.mark.parametrize("name", GUIDES)
def test_every_named_function_is_defined(name: str) -> None:
    functions = set(FUNCTION.findall(read(name)))
    assert functions
    sources = [path for package in ("service", "jobs") for path in (ROOT / package).rglob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert {function for function in functions if f"def {function}(" not in source} == set()


@pytest.mark.parametrize("name", GUIDES)
def test_every_function_is_in_the_file_named_with_it(name: str) -> None:
    pairs = FUNCTION_IN_FILE.findall(read(name))
    assert pairs
    assert [pair for pair in pairs if f"def {pair[0]}(" not in (ROOT / pair[1]).read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    broken = []
    for target, anchor in LINK.findall(read(name)):
        file = (ROOT / name).parent / target if target else ROOT / name
        if not file.exists() or (anchor and anchor not in anchors(str(file.resolve().relative_to(ROOT)))):
            broken.append(target + anchor)
    assert broken == []


def test_decisions_are_numbered_without_gaps_or_repeats() -> None:
    records = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    titles = [record.read_text(encoding="utf-8").partition("\n")[0] for record in records]
    assert [title for number, title in enumerate(titles, 1) if not title.startswith(f"# {number}. ")] == []


def stripe_operations() -> set[str]:
    """Return the names of all operations of Stripe's API in the code."""
    operations = set()
    for path in (ROOT / "service/gateways/stripe").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in STRIPE_CALLS:
                operations |= {
                    argument.value
                    for argument in node.args[:2]
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                }
    return operations


def test_permission_of_each_stripe_call_is_documented_and_granted() -> None:
    page = read("docs/payments.md")
    rows = PERMISSION_ROW.findall(page)
    assert sorted(name for name, _ in rows) == sorted(stripe_operations())
    section = page.partition("## The restricted key")[2].partition("This is what each call needs")[0]
    writable, _, readable = " ".join(section.split()).partition("**Read**")
    for name, permissions in rows:
        for permission in permissions.split(", "):
            resource, _, access = permission.partition(": ")
            granted = writable if access == "Write" else writable + readable
            assert resource in granted, f"{name} needs {permission}"
