"""The two programmes as their owners set them up: strands, schools, targets, money."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from app.demo import hub_pilot, trust_pilot
from app.demo.terms import anchor_of
from app.demo.visits import History
from app.rules.school_calendar import academic_year, first_day, last_day


@dataclass(frozen=True, slots=True)
class Pilot:
    """One programme by its owner's reference. `strands`: code to name and model; `schools`: school to strand."""

    ref: str
    owner: str
    name: str
    funder: str
    budget_pence: int
    strands: Mapping[str, tuple[str, str]]
    schools: Mapping[str, str]
    budgets: Mapping[str, str]
    targets: tuple[Mapping[str, Any], ...]

    def begins(self, today: date) -> date:
        """A year of it lies behind, whatever the day: from the September before the last one."""
        return first_day(academic_year(anchor_of(today) - timedelta(weeks=52)))

    def ends(self, today: date) -> date:
        """Half a year of it lies ahead at least."""
        return last_day(academic_year(anchor_of(today) + timedelta(weeks=30)))


HUB: Final = Pilot(
    hub_pilot.PROGRAMME,
    "hub",
    "Experience of Workplace pilot",
    "The Careers & Enterprise Company",
    10_000_000,
    {
        "tours": ("Group workplace tours", "A two-hour tour for a group, who talk to several employees."),
        "projects": (
            "Projects on employer premises",
            "A project-based assignment, set by an employer, on its premises.",
        ),
        "placements": ("Traditional placements", "A week with one employer."),
        "innovate": ("Licence to innovate", "Three afternoons, a fault found, a prototype built."),
    },
    hub_pilot.strands(),
    hub_pilot.budgets(),
    (
        {"measure": "schools", "value": 50},
        {"measure": "young_people", "value": hub_pilot.YOUNG_PEOPLE},
        {"measure": "share", "value": 19, "characteristic": "sen"},
        {"measure": "share", "value": 25, "characteristic": "free_school_meals:current"},
        {"measure": "share", "value": 18, "characteristic": "attendance"},
    ),
)
TRUST: Final = Pilot(
    trust_pilot.PROGRAMME,
    "trust",
    "Ten days: modern work experience",
    "The Careers & Enterprise Company",
    2_500_000,
    {
        "build-up": ("Build up from Year 7", "Several experiences a year that add up to ten days."),
        "small-firms": ("Small firms first", "Days with micro and small employers near the academy."),
        "sectors": ("Growing sectors", "Life sciences, advanced manufacturing and digital in every year."),
        "skills": ("Essential skills", "Each experience is chosen for the skills it practises."),
        "early": ("An early start", "A project on an employer's premises in the first term of Year 7."),
    },
    trust_pilot.strands(),
    {},
    (
        {"measure": "schools", "value": 13},
        {"measure": "young_people", "value": 3000},
        {"measure": "minutes", "value": 3000 * 3000},
    ),
)  # fmt: skip
PILOTS: Final = (HUB, TRUST)
_LEAST, _STEP = 50_000, 10_000


def allocations(history: History) -> Mapping[str, int]:
    """What the programme sets aside for each school, in pence: what it pays there and some more, in hundreds of pounds."""
    paid: Counter[str] = Counter()
    for visit in history.visits:
        paid[visit.school] += sum(cost.pence for cost in visit.costs if cost.paid_by == "programme")
    return {school: _LEAST + -(-pence // _STEP) * _STEP for school, pence in paid.items()}
