"""Every router of the REST face, in the order of the docs."""

from fastapi import APIRouter

from app.rest import bookings, clients

ROUTERS: tuple[APIRouter, ...] = (
    bookings.router,
    clients.router,
)
