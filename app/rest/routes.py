"""Every router of the REST face, in the order of the docs."""

from fastapi import APIRouter

from app.rest import (
    agreements,
    approvals,
    attendance,
    bookings,
    clients,
    contacts,
    cover,
    disclosures,
    encounters,
    events,
    grants,
    offers,
    organisations,
    programmes,
    progress,
    pupils,
    sites,
    slot_search,
    slots,
    suspensions,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = tuple(
    module.router
    for module in (
        organisations,
        agreements,
        grants,
        programmes,
        pupils,
        progress,
        sites,
        contacts,
        cover,
        approvals,
        suspensions,
        offers,
        slots,
        slot_search,
        bookings,
        attendance,
        encounters,
        webhooks,
        events,
        disclosures,
        clients,
    )
)
