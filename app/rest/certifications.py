"""Certifications of receivers over REST: ask for one, read what came of it."""

from typing import Any
from uuid import UUID

from fastapi.responses import Response

from app.core.db import Row
from app.core.errors import NotFound
from app.rest.certification_models import CertificationOut
from app.rest.frame import Read, Write, framed, needs, one_answer
from app.rest.webhook_models import Nothing
from app.webhooks import certifier
from app.webhooks.sql import certifications

router = framed("/v1", "webhooks")
_SHOWN = tuple(CertificationOut.model_fields)


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN}


@router.post(
    "/webhook-endpoints/{endpoint_id}/certify",
    response_model=CertificationOut,
    status_code=202,
    summary="Certify a receiver",
    operation_id="certify_endpoint",
)
@needs("webhooks:write")
async def certify_endpoint(endpoint_id: UUID, tx: Write, body: Nothing | None = None) -> Response:  # noqa: ARG001
    """Play a graded suite against the receiver, in the background: read the certification until it is `done`.

    Nine posts, one after the other: genuine ones (plain, again, of an unknown type, out of order, 20 kB, trickled over
    5 s), which it should answer 2xx; one with a wrong signature and one with a stale timestamp, which it should answer
    4xx. What is sent is not in the feed, and the answers change nothing of the endpoint's state.
    """
    row = await certifier.begin(tx, tx.caller, endpoint_id)
    return one_answer(_shown(row), location=f"/v1/webhook-certifications/{row['id']}", status=202)


@router.get(
    "/webhook-certifications/{certification_id}",
    response_model=CertificationOut,
    summary="Read a certification",
    operation_id="read_certification",
)
@needs("webhooks:read")
async def read_certification(certification_id: UUID, tx: Read) -> Response:
    """What was sent, what was expected, what came back; and the grade, once it is `done`."""
    row = await certifications.by_id(tx, tx.caller, certification_id)
    if row is None:
        raise NotFound("certification")
    return one_answer(_shown(row))
