"""What the texts of a language lack: missing ones, unknown ones, and other placeholders than in English."""

from collections.abc import Iterator

from schemas.plurals import FALLBACK_LANGUAGE, lone_count, plural_bases, plural_categories, split_plural
from schemas.translations import NAMESPACES, english_texts_for, parse_placeholders, read_texts, text_file

COUNT = "count"


def count_texts(lang: str) -> int:
    """Return how many texts a complete language has; a plural text counts once for each form."""
    return sum(len(english_texts_for(namespace, lang)) for namespace in NAMESPACES)


def find_text_errors(lang: str) -> list[str]:
    """Return a line for each text that is missing, unknown or has other placeholders; none if all is well."""
    return [f"{lang}: {line}" for namespace in NAMESPACES for line in _errors_in_namespace(namespace, lang)]


def _errors_in_namespace(namespace: str, lang: str) -> Iterator[str]:
    expected = english_texts_for(namespace, lang)
    if not text_file(namespace, lang).is_file():
        yield f"{namespace}: the file {namespace}.{lang}.json is missing, with {len(expected)} texts"
        return
    try:
        texts = read_texts(namespace, lang)
    except ValueError as error:
        yield f"{namespace}: the file {namespace}.{lang}.json is not valid JSON: {error}"
        return
    for name, english in expected.items():
        if not texts.get(name, "").strip():
            yield f'{namespace}: {name} is missing; in English: "{english}"'
        elif fault := _placeholder_error(namespace, lang, name, texts[name]):
            yield f"{namespace}: {name} {fault}"
    for name in texts:
        if name not in expected:
            yield f"{namespace}: {name} is unknown{_advice(namespace, lang, name)}"


def _placeholder_error(namespace: str, lang: str, name: str, text: str) -> str | None:
    english = read_texts(namespace, FALLBACK_LANGUAGE)
    base, category = split_plural(name) or (name, "")
    is_plural = base in plural_bases(english)
    try:
        needed = parse_placeholders(english[f"{base}_other" if is_plural else name])
        given = parse_placeholders(text)
    except ValueError:
        return "has an unmatched brace; use {{ or }} to show one"
    # A form for one number only, such as "next month", may leave the number out.
    may_lack = {COUNT} if is_plural and lone_count(lang, category) is not None else set()
    if needed - may_lack <= given <= needed:
        return None
    return f"has {_list_placeholders(given)}; it needs {_list_placeholders(needed)}"


def _list_placeholders(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "no placeholder"


def _advice(namespace: str, lang: str, name: str) -> str:
    base, _ = split_plural(name) or ("", "")
    if base not in plural_bases(read_texts(namespace, FALLBACK_LANGUAGE)):
        return ""
    return f"; the forms in {lang} are {', '.join(plural_categories(lang))}"
