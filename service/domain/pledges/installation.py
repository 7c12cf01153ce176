"""This installation: its id, by which it recognises its own objects at a payment gateway, and its demo."""

import uuid

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.db.models.pledge import Installation
from service.db.upsert import insert_on_conflict_do_nothing

NUMBER = 1


def get_or_create_installation_id(session: Session) -> uuid.UUID:
    """Return the id of this installation; the first call creates it, even if two processes make it at once."""
    query = select(Installation.id)
    installation_id = session.scalar(query)
    if installation_id is None:
        row = {"number": NUMBER, "id": uuid.uuid4()}
        insert_on_conflict_do_nothing(session, Installation, row, unique=("number",))
        installation_id = session.scalars(query).one()
    return installation_id


def replace_installation_id(session: Session) -> uuid.UUID:
    """Give a copy of a database an id of its own, so that it ignores the events of the original."""
    get_or_create_installation_id(session)
    installation_id = uuid.uuid4()
    session.execute(update(Installation).values(id=installation_id).execution_options(synchronize_session=False))
    return installation_id


def get_demo_slug(session: Session) -> str | None:
    """Return the slug of the campaign that the demo article shows; None if the demo is not installed."""
    return session.scalar(select(Installation.demo_slug))


def save_demo_slug(session: Session, slug: str | None) -> None:
    """Install the demo with this campaign, or remove it."""
    get_or_create_installation_id(session)
    session.execute(update(Installation).values(demo_slug=slug).execution_options(synchronize_session=False))
