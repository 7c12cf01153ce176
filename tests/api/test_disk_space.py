"""/readyz says when there is no space to write."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db import disk_space
from service.db.disk_space import REMEMBER_SECONDS, DiskSpace
from service.db.migration import migrate
from tests.api.client import assert_problem
from tests.conftest import settings_for


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Container:
    container = build_container(settings_for(f"sqlite:///{tmp_path}/x.db"))
    migrate(container.database.engine)
    return container


def disk_check(container: Container) -> str:
    response = create_app(container).test_client().get("/readyz")
    assert response.json is not None
    return str(response.json["checks"]["disk"])


def test_readyz_reports_a_full_disk_of_this_machine(on_sqlite: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk_check(on_sqlite) == "ok"
    # Every disk has less than this.
    monkeypatch.setattr(disk_space, "MIN_FREE_BYTES", 2**60)
    response = create_app(on_sqlite).test_client().get("/readyz")
    assert_problem(response, 503, "not_ready")
    assert "KiB are free in the folder of " in response.json["checks"]["disk"]


def test_readyz_reports_that_sqlite_could_not_write(on_sqlite: Container) -> None:
    engine = on_sqlite.database.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OperationalError, match="full"):
            connection.exec_driver_sql("CREATE TABLE large AS SELECT zeroblob(100000000)")
    assert disk_check(on_sqlite) == "the disk of the database is full"


def test_readyz_reports_that_postgresql_could_not_write(client: FlaskClient, container: Container) -> None:
    with pytest.raises(OperationalError), container.database.transaction() as session:
        session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$"))
    response = client.get("/readyz")
    assert_problem(response, 503, "not_ready")
    assert response.json["checks"]["disk"] == "the disk of the database is full"


def test_full_disk_is_forgotten_after_a_while(container: Container) -> None:
    seconds = 0.0
    disk = DiskSpace(container.database.engine, container.settings.database_url, monotonic=lambda: seconds)
    with pytest.raises(OperationalError), container.database.transaction() as session:
        session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$"))
    assert disk.problem() is not None
    seconds = REMEMBER_SECONDS
    assert disk.problem() is None
