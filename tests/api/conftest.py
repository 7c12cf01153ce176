"""The desk of these tests: as everywhere, but emptied by DELETE, with its engine and the application built once.

All three are for speed. TRUNCATE makes new files for every table, a new engine connects and compiles every
statement anew, and the API's description takes longer to build than a request takes to answer; none of it is what
these tests are about.
"""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from service.app import create_app
from service.commands.campaigns import read_campaign_file
from service.commands.migrate import DEMO_CAMPAIGN
from service.db.keyring import Keyring
from service.db.session import make_engine
from service.db.tables import Base
from service.desk import Desk
from service.domain.campaigns.terms import CampaignTerms, apply_campaign, read_terms
from service.settings import Settings
from service.web import put_desk
from service.wiring import build_desk
from tests.clock import Clock
from tests.conftest import settings_for

DELETE_ALL = ";".join(f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables))


@pytest.fixture(scope="session")
def demo_terms() -> CampaignTerms:
    """Return the demo campaign."""
    return read_terms(read_campaign_file(DEMO_CAMPAIGN))


@pytest.fixture(scope="session")
def lasting_engine() -> Iterator[Callable[[Settings, Keyring], Engine]]:
    """Return a function that makes an engine as the service does, but once for all tests with the same keys."""
    made: dict[object, Engine] = {}

    def engine_for(settings: Settings, keyring: Keyring) -> Engine:
        which = settings.database_url, settings.secret_keys, settings.mail.connections
        if which not in made:
            made[which] = make_engine(settings, keyring)
        return made[which]

    yield engine_for
    for engine in made.values():
        engine.dispose()


@pytest.fixture
def desk(
    settings: Settings,
    clock: Clock,
    demo_terms: CampaignTerms,
    lasting_engine: Callable[[Settings, Keyring], Engine],
) -> Desk:
    """Return a desk on real PostgreSQL, with the outbox mailer and the demo campaign."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.wiring.make_engine", lasting_engine)
        desk = build_desk(settings, clock=clock)
    with desk.database.transaction() as session:
        session.execute(text(DELETE_ALL))
        apply_campaign(session, demo_terms, now=clock())
    return desk


@pytest.fixture(scope="session")
def lasting_app(migrated_database: str) -> Flask:
    """Return an application that every test puts its own desk into."""
    return create_app(build_desk(settings_for(migrated_database)))


@pytest.fixture
def app(lasting_app: Flask, desk: Desk) -> Flask:
    """Return the web application on that desk."""
    put_desk(lasting_app, desk)
    return lasting_app
