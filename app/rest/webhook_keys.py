"""The keys that verify an endpoint's `v1a` signatures, at an address that anybody may ask: no token, nothing else told."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from app.core.errors import NotFound
from app.rest.frame import InHouse, json_answer
from app.rest.webhook_models import PublicKeysOut
from app.webhooks.sql import endpoints

router = APIRouter(tags=["webhooks"])
_CACHED = {"Cache-Control": "public, max-age=60"}
_REFUSED = {
    "description": "No such endpoint, or none with public keys.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


@router.get(
    "/.well-known/webhook-keys/{endpoint_id}",
    response_model=PublicKeysOut,
    responses={"4XX": _REFUSED},
    summary="The public keys of a receiver",
    operation_id="read_webhook_keys",
)
async def read_webhook_keys(endpoint_id: UUID, house: InHouse) -> Response:
    """The keys that verify `v1a` signatures now: the present one, and for the days of grace after a rotation the old.

    Whoever knows the endpoint's id may ask; one that is off, gone or signed otherwise is not found.
    """
    async with house.db.write(None) as tx:
        keys = await endpoints.public_keys(tx, endpoint_id)
    if not keys:
        raise NotFound("webhook endpoint")
    return json_answer({"keys": keys}, headers=_CACHED)
