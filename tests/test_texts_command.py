"""`mainstay texts check`: what is missing, unknown or has other placeholders in the texts of a language."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas import text_check, translations
from tests.cli import assert_cli_error, run_cli
from tests.processes import ROOT

Texts = dict[str, str]
CACHED = (translations.read_texts, translations.load_texts, translations.available_languages)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of the folder of texts, which the command checks instead of the real one."""
    shutil.copytree(ROOT / "schemas" / "texts", tmp_path / "texts")
    monkeypatch.setattr(translations.resources, "files", lambda _package: tmp_path)
    _clear_caches()
    yield tmp_path / "texts"
    _clear_caches()


def _clear_caches() -> None:
    for function in CACHED:
        function.cache_clear()


def change_texts(folder: Path, file: str, change: Callable[[Texts], object]) -> None:
    texts = json.loads((folder / file).read_text("utf-8"))
    change(texts)
    (folder / file).write_text(json.dumps(texts), "utf-8")


def test_complete_texts_are_counted() -> None:
    result = run_cli("texts", "check", "ru")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Complete: {text_check.count_texts('ru')} texts in ru.\n"


def test_all_languages_are_checked_without_one() -> None:
    result = run_cli("texts", "check")
    languages = translations.available_languages()
    assert result.exit_code == 0
    total = sum(map(text_check.count_texts, languages))
    assert result.stdout == f"Complete: {total} texts in {len(languages)} languages: {', '.join(languages)}.\n"


def test_each_error_is_listed_with_exit_code_1(folder: Path) -> None:
    def change(texts: Texts) -> None:
        del texts["close"]
        texts["back"] = " "
        texts["reminder_date"] = "{day}"
        texts["try_again"] = "{"
        texts["unheard_of"] = "?"
        texts["try_again_in_two"] = "?"
        texts["try_again_in_one"] = "Через секунду"

    change_texts(folder, "widget.ru.json", change)
    result = run_cli("texts", "check", "ru")
    assert result.exit_code == 1
    assert sorted(result.stdout.splitlines()) == [
        'ru: widget: back is missing; in English: "Back"',
        'ru: widget: close is missing; in English: "Close"',
        "ru: widget: reminder_date has {day}; it needs {date}",
        "ru: widget: try_again has an unmatched brace; use {{ or }} to show one",
        # In Russian, "one" also stands for 21.
        "ru: widget: try_again_in_one has no placeholder; it needs {count}",
        "ru: widget: try_again_in_two is unknown; the forms in ru are one, few, many, other",
        "ru: widget: unheard_of is unknown",
    ]
    assert result.stderr == "Error: There are 7 texts to fix.\n"


def test_missing_and_broken_files_are_named(folder: Path) -> None:
    (folder / "offers.ru.json").unlink()
    (folder / "me.ru.json").write_text("{", "utf-8")
    result = run_cli("texts", "check")
    assert result.exit_code == 1
    missing, broken = sorted(result.stdout.splitlines(), reverse=True)
    assert missing.startswith("ru: offers: the file offers.ru.json is missing, with ")
    assert broken.startswith("ru: me: the file me.ru.json is not valid JSON: ")


def test_unknown_language_is_refused_with_those_there_are() -> None:
    result = run_cli("texts", "check", "tlh")
    assert_cli_error(result, 'There are no texts in "tlh"', *translations.available_languages())
