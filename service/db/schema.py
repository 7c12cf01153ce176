"""What a database holds: nothing, the tables of this release or of another, or another application's.

Migrations are additive, so an older release runs on the schema of a newer one, as after a rollback. A migration
that removes or renames what an older release uses states `oldest_compatible`, the oldest revision whose release
still runs. `service.db.migration` stores the newest such statement in the database, where that release reads it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, select, text

from service.db.models import Base
from service.db.models.schema_compatibility import SchemaCompatibility
from service.db.session import READ_ONLY_OPTION

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
VERSION_TABLE = "alembic_version"
# Beside another application that has an `alembic_version` of its own.
OWN_VERSION_TABLE = "mainstay_alembic_version"
FIRST_TABLE = "campaigns"
# Every release has these, so a revision that this release does not know is Mainstay's only beside them.
CORE_TABLES = frozenset({FIRST_TABLE, "supporters", "pledges", "reminders", "heartbeats"})
MAX_NAMED_TABLES = 3

EXTENSION_TABLES = """
    SELECT relname FROM pg_class JOIN pg_depend ON pg_depend.objid = pg_class.oid
    WHERE classid = 'pg_class'::regclass AND deptype = 'e'
"""


class SchemaStatus(StrEnum):
    """How the schema of a database relates to this release."""

    EMPTY = "empty"
    OUTDATED = "outdated"
    CURRENT = "current"
    NEWER = "newer"  # A newer release migrated it, and this one can run on it.
    INCOMPATIBLE = "incompatible"  # A newer release migrated it, and this one cannot run on it.
    FOREIGN = "foreign"  # It holds tables that are not Mainstay's, and none that are.
    DAMAGED = "damaged"  # It holds tables with the names of ours, but no record of our migrations.


USABLE_STATUSES = frozenset({SchemaStatus.CURRENT, SchemaStatus.NEWER})


@dataclass(frozen=True)
class Schema:
    """The status, the applied revisions, and the tables that tell whose the database is."""

    status: SchemaStatus
    revisions: frozenset[str]
    tables: frozenset[str]
    version_table: str = VERSION_TABLE

    @property
    def problem(self) -> str | None:
        """Why this release cannot run on it, and what to do, in one sentence; None if it can run."""
        match self.status:
            case SchemaStatus.EMPTY | SchemaStatus.OUTDATED:
                return "The database is not migrated: run mainstay migrate."
            case SchemaStatus.INCOMPATIBLE:
                return (
                    f"A newer release of Mainstay migrated the database (to revision {_listed(self.revisions)}), "
                    "and this one cannot run on it: deploy the newer one again, or restore a backup from before."
                )
            case SchemaStatus.DAMAGED:
                return (
                    f"The database has tables with the names of Mainstay's ({_listed(self.tables)}), but no "
                    "record of its migrations: name another database in DATABASE_URL, or restore the whole backup."
                )
            case SchemaStatus.FOREIGN:
                version = f" and the migrations of another application, at {_listed(self.revisions)}"
                return (
                    f"The database has tables that are not Mainstay's ({_listed(self.tables)})"
                    f"{version if self.revisions else ''}: name another database in DATABASE_URL, or run mainstay "
                    "migrate --into-existing to add Mainstay's tables beside them."
                )
            case _:
                return None


def inspect_schema(engine: Engine) -> Schema:
    """Return what the database holds, without changing it."""
    with engine.connect().execution_options(**{READ_ONLY_OPTION: True}) as connection:
        return read_schema(connection)


def read_schema(connection: Connection) -> Schema:
    """Return what the database of this connection holds."""
    version_table = find_version_table(connection)
    revisions = applied_revisions(connection, version_table)
    tables = _tables(connection)
    ours = tables & Base.metadata.tables.keys()
    if not revisions:
        status = SchemaStatus.EMPTY if not tables else SchemaStatus.DAMAGED if ours else SchemaStatus.FOREIGN
        return Schema(status, revisions, frozenset(ours or tables))
    required = {FIRST_TABLE} if revisions <= known_revisions() else CORE_TABLES
    if not required <= tables:
        # Our tables could not be added beside tables of the same names.
        if ours:
            return Schema(SchemaStatus.DAMAGED, revisions, frozenset(ours))
        return Schema(SchemaStatus.FOREIGN, revisions, frozenset(tables), OWN_VERSION_TABLE)
    return Schema(_status(connection, revisions), revisions, frozenset(ours), version_table)


def is_up_to_date(engine: Engine) -> bool:
    """Return whether this release can run on the schema: its own, or a newer one that is compatible."""
    with engine.connect().execution_options(**{READ_ONLY_OPTION: True}) as connection:
        if applied_revisions(connection, find_version_table(connection)) == head_revisions():
            return True
        return read_schema(connection).status in USABLE_STATUSES


def find_version_table(connection: Connection) -> str:
    """Return the table in which this database records our migrations."""
    return OWN_VERSION_TABLE if inspect(connection).has_table(OWN_VERSION_TABLE) else VERSION_TABLE


def applied_revisions(connection: Connection, version_table: str) -> frozenset[str]:
    """Return the revisions that the version table names; none if there is no such table."""
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    return frozenset(context.get_current_heads())


def alembic_config() -> Config:
    """Return Alembic's configuration for the migrations of this release."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@cache
def known_revisions() -> frozenset[str]:
    """Return every migration of this release.

    The next release migrates the database while this one still serves.
    """
    script = ScriptDirectory.from_config(alembic_config())
    return frozenset(revision.revision for revision in script.walk_revisions())


@cache
def head_revisions() -> frozenset[str]:
    """Return the last migration of this release; cached because health checks ask every few seconds."""
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())


def oldest_compatible_revision() -> str | None:
    """Return the oldest revision whose release runs on this schema; None if any does."""
    script = ScriptDirectory.from_config(alembic_config())
    stated = (getattr(revision.module, "oldest_compatible", None) for revision in script.walk_revisions())
    return next(filter(None, stated), None)


def _status(connection: Connection, revisions: frozenset[str]) -> SchemaStatus:
    if revisions == head_revisions():
        return SchemaStatus.CURRENT
    if revisions <= known_revisions():
        return SchemaStatus.OUTDATED
    if not inspect(connection).has_table(SchemaCompatibility.__tablename__):
        return SchemaStatus.NEWER
    oldest = connection.scalar(select(SchemaCompatibility.oldest_revision))
    is_compatible = oldest is None or oldest in known_revisions()
    return SchemaStatus.NEWER if is_compatible else SchemaStatus.INCOMPATIBLE


def _tables(connection: Connection) -> frozenset[str]:
    """Return the tables of the current schema without those of extensions, such as PostGIS, and of Alembic."""
    tables = set(inspect(connection).get_table_names()) - {VERSION_TABLE, OWN_VERSION_TABLE}
    if connection.dialect.name == "postgresql":
        tables -= set(connection.scalars(text(EXTENSION_TABLES)))
    return frozenset(tables)


def _listed(names: Collection[str]) -> str:
    """Return the names in order, the first few of them with the number of the others."""
    first, others = sorted(names)[:MAX_NAMED_TABLES], len(names) - MAX_NAMED_TABLES
    return ", ".join(first) + (f" and {others} more" if others > 0 else "")
