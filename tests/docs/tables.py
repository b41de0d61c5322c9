"""The tables in the guides that are made from the code. `python -m tests.docs.tables` writes them anew."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from app.access.scopes import AREAS, table
from app.outbox.catalogue import TYPES, EventType
from app.rules.words import REASONS_FOR, Actor, BookingAction
from app.webhooks.schedule import NORMAL, SAFETY
from tests.docs.guide import DOCS


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def catalogue() -> str:
    """Event type, whom it is told, order key, lane, what it tells, the members of its `data`."""
    lines = (
        (
            f"`{one.name}`", ", ".join(one.audiences), one.order_key, one.lane, _described(one),
            ", ".join(f"`{name}`" for name in one.fields),
        )
        for one in TYPES.values()
    )  # fmt: skip
    return _rows(("event", "told to", "order key", "lane", "what happened", "`data`"), lines)


def _described(one: EventType) -> str:
    gone = one.deprecation
    return f"{one.description} *(deprecated, until {gone.sunset})*" if gone else one.description


def scopes() -> str:
    """Area by kind of organisation that may read, write or search."""
    development = {area.name for area in AREAS if area.development}
    lines = (
        (
            f"`{one.area}`", one.text + (" *(development)*" if one.area in development else ""),
            _kinds(one.read), _kinds(one.write), _kinds(one.search),
        )
        for one in table()
    )  # fmt: skip
    return _rows(("scope", "opens", "`:read`", "`:write`", "`:search`"), lines)


def _kinds(kinds: tuple[str, ...]) -> str:
    return "all" if len(kinds) == 7 else ", ".join(kinds) or "–"


def reasons() -> str:
    """The reason codes of each side, by move."""
    people = {Actor.EMPLOYER: "employer", Actor.SCHOOL: "school"}
    asked = (BookingAction.DECLINE, BookingAction.CANCEL, BookingAction.COUNTER, BookingAction.RESCHEDULE)
    by_codes: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for action in asked:
        for actor, name in people.items():
            if codes := REASONS_FOR.get((action, actor)):
                by_codes.setdefault((name, tuple(codes)), []).append(action.value)
    lines = (
        (who, ", ".join(f"`{one}`" for one in moves), ", ".join(f"`{one}`" for one in codes))
        for (who, codes), moves in by_codes.items()
    )
    return _rows(("side", "moves", "reason codes"), lines)


def schedule() -> str:
    """The pauses of both lanes."""
    normal = ", ".join(_span(one) for one in NORMAL.pauses)
    then = f"then every {_span(SAFETY.then or 0)} until it is {_span(SAFETY.until)} old"
    late = f"then every {_span(SAFETY.late or 0)} until it is {_span(SAFETY.at_most)} old"
    safety = ", ".join(_span(one) for one in SAFETY.pauses)
    jitter = f"up to {NORMAL.jitter:.0%} longer, at random"
    lines = (
        ("normal", f"{normal}; {jitter}", str(len(NORMAL.pauses)), _span(NORMAL.longest_wait)),
        ("safety", f"{safety}; {then}; {late}", "–", _span(SAFETY.longest_wait)),
    )
    return _rows(("lane", "pause before each attempt", "attempts", "longest `Retry-After` honoured"), lines)


def _span(seconds: float) -> str:
    whole = int(seconds)
    for size, name in ((3600, "h"), (60, "min")):
        if whole and whole % size == 0:
            return f"{whole // size} {name}"
    return f"{whole} s" if whole else "0"


TABLES: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "catalogue": ("webhooks.md", catalogue),
    "schedule": ("webhooks.md", schedule),
    "scopes": ("scopes.md", scopes),
    "reasons": ("employer-hr-system.md", reasons),
}


def with_table(name: str) -> tuple[Path, str, str]:
    """A page, as it is and as it should be: with its table between the two comments that name it."""
    page, make = DOCS / TABLES[name][0], TABLES[name][1]
    text = page.read_text(encoding="utf-8")
    begins, ends = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, _, rest = text.partition(begins)
    _, found, after = rest.partition(ends)
    assert found, f"{page.name} has no place for the table {name}"
    return page, text, f"{before}{begins}{make()}\n{ends}{after}"


if __name__ == "__main__":
    for each in TABLES:
        path, _now, wanted = with_table(each)
        path.write_text(wanted, encoding="utf-8")
