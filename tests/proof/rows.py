"""One row in every table, all of school_a, employer_a, hub_a and their trust: made from the tables' own definition.

Foreign keys lead to the row made before, enumerations take their first word, and what a column's name says is taken
from `named`. What no rule can guess is written down in `SPECIAL`.
"""

import importlib
import pkgutil
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy import CheckConstraint, Column, Table
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import BigInteger, Boolean, Date, DateTime, Integer, LargeBinary, Text, TypeEngine, Uuid

import app
from app.core.db import metadata
from app.core.ids import new_id
from tests.today import YEAR, date_in, time_in
from tests.world import World

Row = dict[str, Any]
START = time_in(30)

NO = 900_001
THEIR_IDS = {
    "bookings": "booking_id",
    "enrolments": "enrolment_id",
    "encounters": "encounter_id",
    "participations": "participation_id",
    "events": "event_id",
    "webhook_endpoints": "endpoint_id",
    "deliveries": "delivery_id",
}
"""What earlier tables name without a foreign key, and so before it is made."""
IDS = {column: new_id() for column in THEIR_IDS.values()}


def every_table() -> dict[str, Table]:
    """Every table of every room by name, referenced tables first."""
    for room in pkgutil.iter_modules(app.__path__, "app."):
        if room.ispkg:
            inside = {one.name for one in pkgutil.iter_modules(importlib.import_module(room.name).__path__)}
            if "tables" in inside:
                importlib.import_module(f"{room.name}.tables")
    return {table.name: table for table in metadata.sorted_tables}


def named(world: World) -> Row:
    """Whose a row is, by the name of the column that says so; and times in their order."""
    return {
        "school_id": world["school_a"],
        "employer_id": world["employer_a"],
        "org_id": world["school_a"],
        "audience_id": world["school_a"],
        "member_id": world["school_a"],
        "parent_id": world["hub_a"],
        "owner_id": world["hub_a"],
        "approver_id": world["hub_a"],
        "suspended_by": world["hub_a"],
        "controller_id": world["trust"],
        "grantor_id": world["trust"],
        "grantee_id": world["vendor"],
        "to_org_id": world["vendor"],
        "client_id": world.clients["school_a"],
        "person_no": NO,
        **IDS,
        "order_key": IDS["booking_id"],
        "academic_year": YEAR,
        "starts_on": date_in(-60),
        "ends_on": date_in(200),
        "expires_on": date_in(900),
        "starts_at": START,
        "ends_at": START + timedelta(hours=2),
        "expires_at": START,
        "during": asyncpg.Range(START, START + timedelta(hours=2)),
        "capacity": 30,
        "year_mask": 1 << 8,
        "nc_year": "8",
    }


def special(world: World) -> dict[str, Row]:
    """What no rule can guess."""
    return {
        "organisations": {"id": world["school_a"]},
        "employers": {"id": world["employer_a"]},
        "clients": {"id": world.clients["school_a"]},
        "memberships": {"kind": "hub"},
        "persons": {"no": NO},
        "suspensions": {
            "employer_id": world["employer_b"],
            "suspended_by": world["hub_b"],
        },  # hides nothing here
        "clock": {"one": 1},
        "sequencer": {"one": 1},
        "fanout": {"one": 1},
        "change_marks": {"one": 1},
        "covers": {"kind": "public_body_exempt"},
        "grants": {"field_groups": ["identity"], "school_id": world["school_a"]},
        "offers": {"visibility": "named_schools"},
        "slots": {"restricted": True},
        "bookings": {"state": "confirmed", "proposal_slot_id": None},  # a proposal is whole or there is none
        "characteristics": {"field_group": "sen", "value": "K"},
        "dated_policies": {"topic": "day"},
        "events": {
            "position": 1,
            "type": "booking.confirmed",
            "body": b'{"id":"%s"}' % str(IDS["event_id"]).encode(),
        },
    }


async def fill(world: World) -> dict[str, Row]:
    """Make the rows as the owner; give them by table. A row that is there already (a trigger's, the world's) is read."""
    known, particular, made = named(world), special(world), dict[str, Row]()
    for table, column in THEIR_IDS.items():
        particular.setdefault(table, {})["id"] = IDS[column]
    no = await world.owner.fetchval("SELECT no FROM organisations WHERE id = $1", world["school_a"])
    particular["memberships"]["member_no"] = no
    for name, table in every_table().items():
        values = {
            column.name: _value(column, known, made)
            for column in table.columns
            if _is_needed(column) or column.name in known or column.foreign_keys
            if not column.computed and (not column.identity or column.name in particular.get(name, {}))
        }
        values = {key: one for key, one in (values | particular.get(name, {})).items() if one is not None}
        made[name] = await _insert(world, table, values)
    await world.owner.execute("UPDATE encounter_versions v SET was = to_jsonb(e) FROM encounters e")
    return made


def _is_needed(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _value(column: Column[Any], known: Row, made: dict[str, Row]) -> Any:
    if column.name in known:
        return known[column.name]
    for key in column.foreign_keys:
        there = made.get(key.column.table.name)
        return there[key.column.name] if there else None
    if not _is_needed(column):
        return None
    words = _words_of(column)
    return words[0] if words else _plain(column.type, column.name)


def _words_of(column: Column[Any]) -> list[str]:
    """The enumeration that a CHECK (column IN ('a', 'b')) states."""
    for check in column.table.constraints | column.constraints:
        text = str(check.sqltext) if isinstance(check, CheckConstraint) else ""
        if text.startswith(f"{column.name} IN ("):
            return [word.strip().strip("'") for word in text.partition("(")[2].rstrip(")").split(",")]
    return []


def _plain(kind: TypeEngine[Any], name: str) -> Any:
    guesses: list[tuple[type[TypeEngine[Any]], Any]] = [
        (Uuid, new_id()),
        (Boolean, False),
        (BigInteger, 1),
        (Integer, 1),
        (DateTime, START),
        (Date, date_in(-30)),
        (LargeBinary, b"sealed"),
        (pg.JSONB, "{}"),
        (pg.ARRAY, []),
        (Text, name[:8]),
    ]
    return next(value for one, value in guesses if isinstance(kind, one))


async def _insert(world: World, table: Table, values: Row) -> Row:
    columns, marks = ", ".join(values), ", ".join(f"${at}" for at in range(1, len(values) + 1))
    row = await world.owner.fetchrow(
        f"INSERT INTO {table.name} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({marks})"
        " ON CONFLICT DO NOTHING RETURNING *",
        *values.values(),
    )
    if row is None:
        keys = [one.name for one in table.primary_key if one.name in values and table.name != "memberships"]
        keys = keys if len(keys) == len(table.primary_key) else ["member_id", "kind"]
        where = " AND ".join(f"{name} = ${at}" for at, name in enumerate(keys, 1))
        row = await world.owner.fetchrow(
            f"SELECT * FROM {table.name} WHERE {where}", *(values[one] for one in keys)
        )
    return dict(row)
