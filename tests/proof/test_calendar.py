"""Tests ask tests/today.py alone what day it is, and those who do so run on other days, too (`make test-calendar`)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
ALLOWED = {TESTS / "today.py", TESTS / "other_days.py"}
FILES = sorted(set(TESTS.rglob("*.py")) - ALLOWED)
SPREADS = {"tests.world", "tests.demonstration", "tests.proof.rows"}
"""Nearly every test has a world, whose own dates are weeks from any edge and follow from today; so have its rows."""
TOO_LONG = {
    "tests.dashboards.test_exact": "a long run over random days, most of them far from any edge",
    "tests.proof.test_strangers": "every route for every stranger; its one date is a programme's",
    "tests.proof.test_poisoned_rows": "a row that is held waits for Postgres's own lock_timeout, which a moved clock stops",
}
RUNS_ELSEWHERE = {"calendar", "slow_suite"}


def _dates_read(tree: ast.AST) -> Iterator[int]:
    """The lines that read a date off the clock: `date.today()`, `datetime.now(UTC).date()`, `school_day(wall_now())`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        said = ast.unparse(node)
        if said in {"date.today()", "datetime.today()", "school_day(wall_now())"}:
            yield node.lineno
        if isinstance(node.func, ast.Attribute) and node.func.attr == "date" and "now(" in said:
            yield node.lineno


def _imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return {one for one in found if one.startswith("tests.")} - SPREADS


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _readers() -> set[str]:
    """The modules that use tests.today, or something that does."""
    uses = {_module(path): _imported(ast.parse(path.read_text())) for path in FILES}
    found = {"tests.today"}
    while more := {name for name, used in uses.items() if used & found and name not in SPREADS} - found:
        found |= more
    return found


@pytest.mark.parametrize(
    "wrong",
    ["date.today()", "datetime.now(UTC).date()", "(wall_now() - DAY).date()", "school_day(wall_now())"],
)
def test_a_date_read_off_the_clock_is_seen(wrong: str) -> None:
    assert list(_dates_read(ast.parse(f"x = {wrong}")))


def test_no_test_reads_the_date_off_the_clock() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        for line in _dates_read(ast.parse(path.read_text()))
    ]
    assert found == [], "take it from tests/today.py"


def test_whoever_asks_what_day_it_is_runs_on_other_days_too() -> None:
    readers = _readers()
    assert len(readers) > 20
    unmarked = [
        _module(path)
        for path in FILES
        if path.name.startswith("test_") and _module(path) in readers - set(TOO_LONG)
        if not RUNS_ELSEWHERE & {word.split(".")[-1] for word in _marks(path)}
    ]
    assert unmarked == [], "pytestmark = pytest.mark.calendar"


def _marks(path: Path) -> list[str]:
    """The marks in `pytestmark`, such as `pytest.mark.calendar`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return [ast.unparse(one) for one in ast.walk(node.value) if isinstance(one, ast.Attribute)]
    return []
