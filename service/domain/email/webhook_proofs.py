"""Proofs of email webhooks: each counts for the report that it came with first, and for its retries."""

import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.db.models.email import UsedWebhookProof
from service.db.upsert import dialect_insert
from service.domain.ports import WebhookProof


def use_proof(session: Session, proof: WebhookProof) -> bool:
    """Record a proof; return False if it came with another report before."""
    insert = dialect_insert(session, UsedWebhookProof).values(
        proof_hash=proof.id, report_hash=proof.report_hash, expires_at=proof.expires_at
    )
    # Of two concurrent requests with one proof, the second waits here for the first.
    session.execute(insert.on_conflict_do_nothing(index_elements=["proof_hash"]))
    used_for = select(UsedWebhookProof.report_hash).where(UsedWebhookProof.proof_hash == proof.id)
    return session.scalar(used_for) == proof.report_hash


def purge_used_proofs(session: Session, *, now: datetime.datetime) -> None:
    """Delete the proofs that have expired, and so are refused anyway."""
    session.execute(delete(UsedWebhookProof).where(UsedWebhookProof.expires_at < now))
