"""Who and what the demonstration consists of. Organisations named in the pilots' announcements; schools, employers
and pupils are made up, with URNs and LAESTABs in a range (9xxxxx) that no real school has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any, Final

from app.rules.words import Criterion, ExperienceKind, FieldGroup

NATIONAL: Final = "national"
BM5: Final = ("clear_shared_purpose", "learning_outcomes", "two_way_interaction", "reflection")
BM6: Final = tuple(each.value for each in Criterion if each != Criterion.TWO_WAY_INTERACTION)


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation by its key; `parents` are those that it is a member of."""

    key: str
    kind: str
    name: str
    region: str | None = None
    urn: str | None = None
    laestab: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Employer:
    """An employer's profile, its one site and what it offers. `approvers` are hubs."""

    key: str
    size_band: str
    sic_section: str
    sector: str
    about: str
    site: Mapping[str, str]
    approvers: tuple[str, ...]
    offers: tuple["Offer", ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer and its slots ahead: `weeks` after the Monday of this week, on `weekday` (0 is Monday)."""

    ref: str
    title: str
    kind: ExperienceKind
    years: tuple[str, ...]
    criteria: tuple[str, ...]
    capacity: int
    begins: time
    ends: time
    weekday: int
    weeks: tuple[int, ...]
    tier: int = 1
    grouping: str = "group"
    days: int = 1
    break_minutes: int = 0
    more: Mapping[str, Any] | None = None


def _school(key: str, name: str, number: int, region: str, *parents: str) -> Organisation:
    return Organisation(key, "school", name, region, f"9990{number:02d}", f"99940{number:02d}", parents)


ORGANISATIONS: Final[tuple[Organisation, ...]] = (
    Organisation(NATIONAL, "national", "The Careers & Enterprise Company"),
    Organisation("hub", "hub", "Hertfordshire Careers Hub", "East of England", parents=(NATIONAL,)),
    Organisation(
        "hub_manchester", "hub", "Greater Manchester Careers Hub", "North West", parents=(NATIONAL,)
    ),
    Organisation("trust", "trust", "Co-op Academies Trust"),
    Organisation("vendor", "vendor", "Foxglove MIS"),
    _school("school", "Lea Bridge School", 1, "East of England", "hub"),
    _school("ridgeway", "Ridgeway High School", 2, "East of England", "hub"),
    _school("beanfield", "Beanfield Community School", 3, "East of England", "hub"),
    _school("harbour", "Co-op Academy Harbour Lane", 4, "East of England", "hub", "trust"),
    _school("ashgrove", "Co-op Academy Ashgrove", 5, "North West", "hub_manchester", "trust"),
    _school("millbrook", "Co-op Academy Millbrook", 6, "North West", "hub_manchester", "trust"),
    Organisation("employer", "employer", "Quillfeather Biosciences", "East of England"),
    Organisation("engineer", "employer", "Tanner & Wren Precision", "East of England"),
    Organisation("studio", "employer", "Larkrise Data Studio", "East of England"),
    Organisation("robotics", "employer", "Irwell Robotics", "North West"),
)
SCHOOLS: Final = tuple(one.key for one in ORGANISATIONS if one.kind == "school")
ACADEMIES: Final = tuple(one.key for one in ORGANISATIONS if "trust" in one.parents)
MAINTAINED: Final = tuple(key for key in SCHOOLS if key not in ACADEMIES)
HUBS_OF: Final = {
    one.key: next(p for p in one.parents if p.startswith("hub")) for one in ORGANISATIONS if one.urn
}

CLIENTS: Final[Mapping[str, str]] = {
    "national": "National reporting",
    "hub": "Hub dashboard",
    "hub_manchester": "Hub dashboard",
    "trust": "Trust reporting",
    "vendor": "Foxglove MIS",
    **dict.fromkeys(SCHOOLS, "School office"),
    "employer": "HR system",
    "engineer": "HR system",
    "studio": "HR system",
    "robotics": "HR system",
}

GRANTED: Final = (
    FieldGroup.IDENTITY, FieldGroup.ENROLMENT, FieldGroup.ACCESS_NEEDS, FieldGroup.SEN, FieldGroup.FREE_SCHOOL_MEALS,
    FieldGroup.PUPIL_PREMIUM, FieldGroup.ATTENDANCE,
)  # fmt: skip
AGREEMENT: Final[Mapping[str, Any]] = {
    "agreement_version": "2026-1",
    "signatory_role": "Data protection lead",
    "lawful_basis": "public task",
    "processors": ["TenDays", "Foxglove MIS"],
    "except_school_ids": [],
}

_TOUR, _VISIT = ExperienceKind.WORKPLACE_TOUR, ExperienceKind.WORKPLACE_VISIT
EMPLOYERS: Final[tuple[Employer, ...]] = (
    Employer(
        "employer", "small", "M", "life_sciences", "Tests for plant diseases; 34 people.",
        {"name": "Laboratory", "address": "4 Orchard Court", "town": "Stevenage", "postcode": "SG1 9ZZ"},
        ("hub",),
        (
            Offer("tour-lab", "From sample to result: a tour of the laboratory", _TOUR, ("7", "8", "9"), BM5, 30,
                  time(10), time(12), 1, (4, 5, 6)),
            Offer("placement-lab", "A week at the bench", ExperienceKind.PLACEMENT, ("10", "11"), BM6, 3,
                  time(9), time(15, 30), 0, (12,), tier=3, grouping="individual", days=5, break_minutes=60),
        ),
    ),
    Employer(
        "engineer", "medium", "C", "advanced_manufacturing", "Machined parts for aircraft; 140 people.",
        {"name": "Works", "address": "Unit 7, Comet Way", "town": "Hatfield", "postcode": "AL10 9ZZ"},
        ("hub",),
        (
            Offer("visit-works", "Make a part: two afternoons in the works", _VISIT, ("9", "10"), BM6, 15,
                  time(13), time(15, 30), 2, (5, 7), tier=2, days=2),
        ),
    ),
    Employer(
        "studio", "micro", "J", "digital_and_technologies", "Maps and data for councils; 8 people.",
        {"name": "Studio", "address": "2 Mill Yard", "town": "Watford", "postcode": "WD17 9ZZ"},
        ("hub",),
        (
            Offer("project-map", "Map your school's journeys", ExperienceKind.EMPLOYER_PROJECT, ("8", "9"), BM6, 12,
                  time(9, 30), time(15), 3, (5, 8), tier=2, break_minutes=45),
        ),
    ),
    Employer(
        "robotics", "small", "C", "advanced_manufacturing", "Arms that pack parcels; 41 people.",
        {"name": "Workshop", "address": "11 Quay Street", "town": "Salford", "postcode": "M50 9ZZ"},
        ("hub_manchester",),
        (
            Offer("tour-robots", "Who programs the robots?", _TOUR, ("7", "8", "9", "10"), BM5, 30,
                  time(10), time(12), 4, (4, 6)),
        ),
    ),
)  # fmt: skip

PROGRAMMES: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "owner": "hub",
        "programme": {
            "external_ref": "experience-of-workplace",
            "name": "Experience of Workplace pilot",
            "funder": "The Careers & Enterprise Company",
            "budget_pence": 6_000_000,
        },
        "strands": {
            "tours": ("Group workplace tours", "A two-hour tour with several employees."),
            "projects": ("Projects on employer premises", "A project-based assignment."),
            "placements": ("Traditional placements", "A block of days with one employer."),
            "innovate": ("Licence to innovate", "Whatever the school wants to try."),
        },
        "schools": {"school": "tours", "ridgeway": "projects", "beanfield": "tours", "harbour": "innovate"},
        "budgets": {"school": "none", "ridgeway": "too_little", "beanfield": "none", "harbour": "sufficient"},
        "targets": ({"measure": "young_people", "value": 2000}, {"measure": "schools", "value": 50}),
    },
    {
        "owner": NATIONAL,
        "programme": {
            "external_ref": "ten-days",
            "name": "Ten days: modern work experience in one trust",
            "funder": None,
            "budget_pence": None,
        },
        "strands": {
            "build-up": ("Build up from Year 7", "Several experiences that add up to ten days."),
            "sme": ("Small employers", "Varied days with small and medium-sized employers."),
        },
        "schools": {"ashgrove": "build-up", "millbrook": "sme", "harbour": "build-up"},
        "budgets": {},
        "targets": ({"measure": "minutes", "value": 3000},),
    },
)

GIVEN_NAMES: Final = (
    "Aaliyah", "Adam", "Aisha", "Alfie", "Amara", "Archie", "Ava", "Ben", "Chloe", "Daniel", "Dev", "Ella", "Ethan",
    "Fatima", "Freya", "George", "Grace", "Hannah", "Harry", "Ibrahim", "Imogen", "Isaac", "Isla", "Jacob", "Jasmine",
    "Kai", "Keira", "Leo", "Lily", "Maya", "Mohammed", "Nadia", "Noah", "Olivia", "Oscar", "Poppy", "Priya", "Reuben",
    "Rosie", "Samuel", "Sofia", "Tariq", "Theo", "Yusuf", "Zara",
)  # fmt: skip
FAMILY_NAMES: Final = (
    "Ackroyd", "Ahmed", "Bailey", "Banerjee", "Begum", "Carter", "Chowdhury", "Clarke", "Cooper", "Davies", "Edwards",
    "Fletcher", "Fraser", "Green", "Hall", "Hussain", "Jackson", "Kaur", "Khan", "Kowalski", "Lewis", "Mensah",
    "Mitchell", "Moore", "Nowak", "Okafor", "Osei", "Patel", "Price", "Reid", "Roberts", "Shah", "Singh", "Taylor",
    "Thompson", "Turner", "Walker", "Ward", "Wood", "Zhang",
)  # fmt: skip
