"""The requests of readers and staff, and the assertions on responses that API tests share."""

import datetime
import uuid
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import func, insert, select
from sqlalchemy.orm import joinedload
from werkzeug.test import TestResponse

from schemas.campaign import CampaignFile
from schemas.enums import Frequency, PledgeStatus, Scope
from service.container import Container
from service.db.base import Base, new_id
from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder
from service.domain.campaigns.definitions import (
    get_campaign,
    parse_definition,
    serialize_campaign,
    upsert_campaign,
)
from service.domain.money import Money
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_payment
from service.domain.pledges.pledges import get_pledge
from service.domain.reminders.self_service import reminder_token
from service.domain.staff import create_staff_token

PLEDGE: dict[str, Any] = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}
REMINDER: dict[str, Any] = {"campaign": "default", "email": "reader@example.org"}
OMIT = object()
"""A marker for a field to leave out of the request."""


def with_changes(body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the body with some fields changed, added or left out."""
    return {name: value for name, value in (body | changes).items() if value is not OMIT}


def new_idempotency_key() -> str:
    """Return a new Idempotency-Key."""
    return str(uuid.uuid4())


def post_pledge(
    client: FlaskClient, *, key: str | None = None, origin: str | None = None, **changes: Any
) -> TestResponse:
    """Create a pledge through the API."""
    headers = {"Idempotency-Key": key or new_idempotency_key()} | ({"Origin": origin} if origin else {})
    return client.post("/v1/pledges", json=with_changes(PLEDGE, changes), headers=headers)


def post_reminder(client: FlaskClient, *, origin: str | None = None, **changes: Any) -> TestResponse:
    """Create a reminder through the API."""
    headers = {"Origin": origin} if origin else {}
    return client.post("/v1/reminders", json=with_changes(REMINDER, changes), headers=headers)


def pay_pledge(container: Container, pledge_id: str, *, email: str | None = "reader@example.org") -> None:
    """Record a sandbox payment of a pledge."""
    with container.database.transaction() as session:
        pledge_uuid = uuid.UUID(pledge_id)
        pledge = get_pledge(session, pledge_uuid)
        charge = SandboxCharge(reference=f"paid_{pledge_id}", money=Money(pledge.amount_minor, pledge.currency))
        record_sandbox_payment(session, pledge_uuid, charge, email=email, now=container.clock())


def count(container: Container, table: type[Base]) -> int:
    """Return the number of rows of a table."""
    with container.database.read_only() as session:
        return session.scalar(select(func.count()).select_from(table))


def reminder_token_for(container: Container, address: str) -> str:
    """Return the token of a supporter's reminder, as in its email."""
    with container.database.read_only() as session:
        [found] = [
            reminder for reminder in session.scalars(select(Reminder)) if reminder.supporter.email == address
        ]
        return reminder_token(container.database.keyring, found)


def only_pledge(container: Container) -> Pledge:
    """Return the only pledge, with its supporter loaded."""
    with container.database.read_only() as session:
        return session.scalars(select(Pledge).options(joinedload(Pledge.supporter))).one()


def only_reminder(container: Container) -> Reminder:
    """Return the only reminder."""
    with container.database.read_only() as session:
        return session.scalars(select(Reminder)).one()


def staff_token(container: Container, *scopes: str, name: str = "the desk") -> str:
    """Return a new staff token."""
    with container.database.transaction() as session:
        return create_staff_token(
            session, name=name, scopes=[Scope(scope) for scope in scopes], now=container.clock()
        )


def auth_headers(container: Container, *scopes: str) -> dict[str, str]:
    """Return the Authorization header of a new staff token with these scopes."""
    return {"Authorization": f"Bearer {staff_token(container, *scopes)}"}


def campaign_definition(container: Container, slug: str = "default") -> dict[str, Any]:
    """Return a campaign in the format of a campaign file."""
    with container.database.read_only() as session:
        return CampaignFile().dump(serialize_campaign(get_campaign(session, slug)))


def update_campaign(container: Container, **changes: Any) -> None:
    """Change the demo campaign, or with `slug` create a copy; call it before a request caches the campaign."""
    file = CampaignFile().load(campaign_definition(container) | changes)
    with container.database.transaction() as session:
        upsert_campaign(session, parse_definition(file), now=container.clock())


def insert_pledges(container: Container, number: int, **changes: Any) -> None:
    """Insert pledges directly, for tests of long lists."""
    with container.database.transaction() as session:
        campaign_id = session.scalar(select(Campaign.id).where(Campaign.slug == "default"))
        row = {
            "campaign_id": campaign_id,
            "status": PledgeStatus.PENDING,
            "frequency": Frequency.ONCE,
            "amount_minor": 200,
            "currency": "USD",
            "gateway": "sandbox",
            "created_at": container.clock(),
        }
        session.execute(insert(Pledge), [row | {"id": new_id()} | changes for _ in range(number)])


def get_json(client: FlaskClient, staff: dict[str, str], path: str, **query: Any) -> dict[str, Any]:
    """Return the JSON of a successful staff request."""
    response = client.get(path, headers=staff, query_string=query)
    assert response.status_code == 200, response.text
    return response.json


def assert_problem(
    response: TestResponse, status: int, code: str, *, field: str | None = None, says: str = ""
) -> dict[str, Any]:
    """Check a problem response (RFC 9457) and return its body."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    assert response.headers["X-Request-Id"]
    problem = response.get_json(force=True)
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert all(isinstance(problem[name], str) and problem[name] for name in ("type", "title", "detail", "code"))
    assert problem["code"] == code
    assert problem["status"] == status
    assert says in problem["detail"]
    assert ("errors" in problem) == (status == 422)
    if status == 422:
        assert all(isinstance(line, str) for lines in problem["errors"].values() for line in lines)
    if field is not None:
        assert field in problem["errors"], problem["errors"]
    return problem


def parse_timestamp(text: str) -> datetime.datetime:
    """Parse a timestamp of the API, which must be RFC 3339 in UTC with `Z`."""
    assert text.endswith("Z")
    return datetime.datetime.fromisoformat(text)
