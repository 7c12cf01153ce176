"""`mainstay texts`: check that the texts which readers see are complete in every language."""

import click

from schemas.text_check import count_texts, find_text_errors
from schemas.translations import available_languages


@click.group()
def texts() -> None:
    """Check the texts that readers see, in every language."""


@texts.command("check")
@click.argument("lang", required=False)
def check_texts(lang: str | None) -> None:
    """List the texts that a language lacks, or that are unknown or have other placeholders than the English ones.

    Without LANG, a tag such as de, every language is checked. A text that is missing is shown in English. Neither
    settings nor a database are needed. The exit code is 1 if there is anything to put right.
    """
    languages = available_languages()
    if lang is not None and lang not in languages:
        raise click.ClickException(f'There are no texts in "{lang}". Languages: {", ".join(languages)}.')
    checked = languages if lang is None else (lang,)
    errors = [error for one in checked for error in find_text_errors(one)]
    for error in errors:
        click.echo(error)
    if errors:
        raise click.ClickException(
            "There is 1 text to fix." if len(errors) == 1 else f"There are {len(errors)} texts to fix."
        )
    number = sum(map(count_texts, checked))
    where = f"in {checked[0]}" if len(checked) == 1 else f"in {len(checked)} languages: {', '.join(checked)}"
    click.echo(f"Complete: {number} texts {where}.")
