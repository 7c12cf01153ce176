"""The exports as LibreOffice reads them, if the machine has it: typed cells, and no formula at any separator."""

import shutil
import subprocess
from pathlib import Path

import openpyxl
import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from service.container import Container
from service.db.models.pledge import Pledge
from tests.api.client import auth_headers, insert_pledges

pytestmark = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")

EXPORT = "/v1/admin/pledges/export"
EVIL = (
    "=1+1",
    "x;=1+1;y",
    'x;"=1+1";y',
    "a\t=1+1\tb",
    "a| =1+1|b",
    "one\r\n=1+1",
    "＝1+1",
    "x;＝1+1;y",
    ";\t=1+1",
)


def convert(file: Path, kind: str, folder: Path, *options: str) -> Path:
    """Return the file as LibreOffice saves it in another format."""
    folder.mkdir()
    profile = f"-env:UserInstallation=file://{folder}/profile"
    subprocess.run(
        ["soffice", "--headless", profile, *options, "--convert-to", kind, "--outdir", str(folder), str(file)],
        check=True,
        capture_output=True,
    )
    return folder / f"{file.stem}.{kind.partition(':')[0]}"


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "export")


def test_no_separator_makes_a_formula_of_a_csv_cell(
    client: FlaskClient, container: Container, staff: dict, tmp_path: Path
) -> None:
    for text in EVIL:
        insert_pledges(container, 1, variant=text)
    with container.database.transaction() as session:
        session.execute(update(Pledge).values(page_url=Pledge.variant))
    file = tmp_path / "pledges.csv"
    file.write_bytes(client.get(EXPORT, headers=staff).data)
    # The codes of a comma, a semicolon, a tab and a bar, and all of them; then text in quotes, UTF-8, formulas on.
    for separators in ("44", "59", "9", "124", "44/59/9/124"):
        folder = tmp_path / separators.replace("/", "-")
        options = f"--infilter=CSV:{separators},34,76,1,,1033,false,true,false,false,false,0,true"
        sheet = openpyxl.load_workbook(convert(file, "xlsx", folder, options)).active
        assert sheet.max_row > len(EVIL)
        assert [cell.value for row in sheet.iter_rows() for cell in row if cell.data_type == "f"] == []


def test_spreadsheet_computes_with_amounts_and_times(
    client: FlaskClient, container: Container, staff: dict, tmp_path: Path
) -> None:
    insert_pledges(container, 1, amount_minor=205)
    insert_pledges(container, 1, amount_minor=1234, variant="=1+1")
    file = tmp_path / "pledges.xlsx"
    file.write_bytes(client.get(EXPORT, headers=staff, query_string={"format": "xlsx"}).data)
    book = openpyxl.load_workbook(file)
    sheet = book.active
    for cell, formula in (("U1", "=SUM(F2:F3)"), ("U2", "=YEAR(B2)"), ("U3", "=ISTEXT(N3)")):
        sheet[cell] = formula
    book.save(file)
    computed = openpyxl.load_workbook(convert(file, "xlsx", tmp_path / "out"), data_only=True).active
    assert [computed[cell].value for cell in ("U1", "U2", "U3")] == [14.39, 2026, True]
    assert computed["N3"].value == "=1+1"
