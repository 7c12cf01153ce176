"""The names of all settings, as the source reads them from the environment."""

import re

from tests.processes import ROOT

NAME = re.compile(r'"([A-Z][A-Z_]{3,})"')


def setting_names() -> set[str]:
    sources = [path.read_text() for path in (ROOT / "service").glob("*.py")]
    return set(NAME.findall("".join(sources)))
