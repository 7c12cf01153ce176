"""Writing a supporter's data as a ZIP file, each section as JSON and as CSV, in constant memory."""

import csv
import datetime
import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final

from sqlalchemy.orm import Session

from service.domain.pledges.formula_guard import guard_formulas
from service.domain.privacy.own_data import SECTIONS, Section, find_owner

README: Final = "README.txt"
# Without it, Excel and older editors do not read a file as UTF-8.
BYTE_ORDER_MARK: Final = "\ufeff"


def write_archive(
    file: IO[bytes],
    session: Session,
    supporter_id: uuid.UUID,
    *,
    readme: Callable[[Mapping[str, int]], str],
    now: datetime.datetime,
) -> None:
    """Write the archive to a file.

    The session must see one snapshot of the database, because each section is read twice.

    Args:
        file: an empty file.
        session: reads the data.
        supporter_id: whose data.
        readme: returns the text that says what is what, for the number of records in each section.
        now: the time of the files in the archive, in UTC.

    """
    owner = find_owner(session, supporter_id)
    counts: dict[str, int] = {}
    with zipfile.ZipFile(file, "w") as archive:

        def write(name: str, lines: Iterable[str]) -> int:
            entry = zipfile.ZipInfo(name, now.timetuple()[:6])
            entry.compress_type, written = zipfile.ZIP_DEFLATED, 0
            with archive.open(entry, "w") as output:
                for line in lines:
                    output.write(line.encode())
                    written += 1
            return written

        for section in SECTIONS:
            write(f"json/{section.name}.json", _json_lines(section, section.records(session, owner)))
            lines = write(f"csv/{section.name}.csv", _csv_lines(section, section.records(session, owner)))
            counts[section.name] = lines - 1
        write(README, [BYTE_ORDER_MARK, *(f"{line}\r\n" for line in readme(counts).split("\n"))])


def _json_lines(section: Section, records: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yield a JSON array with a record in each line."""
    before = "[\n"
    for record in records:
        yield before + json.dumps(dict(zip(section.columns, record, strict=True)), ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _csv_lines(section: Section, records: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yield CSV as in RFC 4180, the header first; no cell runs as a formula."""
    yield BYTE_ORDER_MARK + _csv_line(section.columns)
    for record in records:
        yield _csv_line(map(_csv_cell, record))


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return json.dumps(value)
    return guard_formulas(value) if isinstance(value, str) else value


def _csv_line(values: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(values)
    return buffer.getvalue()
