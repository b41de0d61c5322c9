"""Who the demonstration consists of. The organisations named in the pilots' announcements are so named here; schools,
employers and pupils are made up, with URNs and LAESTABs in a range (9xxxxx) that no real school has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.rules.words import CHARACTERISTIC_GROUPS, Criterion, FieldGroup

NATIONAL: Final = "national"
BM5: Final = ("clear_shared_purpose", "learning_outcomes", "two_way_interaction", "reflection")
BM6: Final = tuple(each.value for each in Criterion if each != Criterion.TWO_WAY_INTERACTION)


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation by its key; `parents` are those that it is a member of. `number` is a school's, from 1."""

    key: str
    kind: str
    name: str
    region: str | None = None
    number: int | None = None
    parents: tuple[str, ...] = ()

    @property
    def urn(self) -> str | None:
        """Of a school: 9990nn."""
        return None if self.number is None else f"9990{self.number:02d}"

    @property
    def laestab(self) -> str | None:
        """Of a school: 99940nn."""
        return None if self.number is None else f"99940{self.number:02d}"


HUBS: Final = (
    Organisation("hub", "hub", "Hertfordshire Careers Hub", "East of England", parents=(NATIONAL,)),
    Organisation(
        "hub_manchester", "hub", "Greater Manchester Careers Hub", "North West", parents=(NATIONAL,)
    ),
    Organisation(
        "hub_liverpool", "hub", "Liverpool City Region Careers Hub", "North West", parents=(NATIONAL,)
    ),
    Organisation("hub_midlands", "hub", "West Midlands Careers Hub", "West Midlands", parents=(NATIONAL,)),
    Organisation(
        "hub_yorkshire", "hub", "West Yorkshire Careers Hub", "Yorkshire and The Humber", parents=(NATIONAL,)
    ),
)
_MAINTAINED: Final[tuple[tuple[str, str], ...]] = (
    ("school", "Lea Bridge School"),
    ("ridgeway", "Ridgeway High School"),
    ("beanfield", "Beanfield Community School"),
    *(
        (name.split()[0].lower(), f"{name} {sort}")
        for name, sort in zip(
            (
                "Aldermoss", "Ambleholt", "Applewick", "Barleycote", "Beechenlow", "Birklow", "Bramleaf", "Brindlemoor",
                "Candleford Lane", "Chalkwell Rise", "Cobblewood", "Copperdell", "Cressmere", "Damsonhill", "Dovelands",
                "Elmsgarth", "Fallowdene", "Fernhurst Vale", "Flintacre", "Foxholm", "Furzebank", "Gorsemead",
                "Harebell", "Hartsgrove", "Hazelmarsh", "Hollowbrook", "Hornbeam Cross", "Juniperlea", "Kestrelfield",
                "Larchcombe", "Linnetwood", "Maplestead Green", "Marlhanger", "Merrowfield", "Nettlestone", "Oatridge",
                "Orchardleigh Way", "Otterpool", "Pepperharrow", "Quarrendale", "Rushmead", "Saffron Wold", "Sorrelhill",
                "Thistlecombe", "Wainsgate", "Willowmere", "Yarrowbank",
            ),
            ("School", "High School", "Community School", "Academy", "School for Girls", "School", "High School") * 7,
            strict=False,
        )
    ),
)  # fmt: skip
_ACADEMIES: Final[tuple[tuple[str, str, str], ...]] = (
    ("ashgrove", "Ashgrove", "hub_manchester"),
    ("millbrook", "Millbrook", "hub_manchester"),
    ("canalside", "Canalside", "hub_manchester"),
    ("weaversfold", "Weavers Fold", "hub_manchester"),
    ("ropewalk", "Ropewalk", "hub_manchester"),
    ("harbour", "Harbour Lane", "hub_liverpool"),
    ("lighthouse", "Lighthouse Row", "hub_liverpool"),
    ("sandstone", "Sandstone Hill", "hub_liverpool"),
    ("foundry", "Foundry Street", "hub_midlands"),
    ("gunmakers", "Gunmakers Green", "hub_midlands"),
    ("tollgate", "Tollgate", "hub_midlands"),
    ("beckside", "Beckside", "hub_yorkshire"),
    ("spinners", "Spinners Croft", "hub_yorkshire"),
)
_REGIONS: Final = {one.key: one.region for one in HUBS}
SCHOOLS: Final[tuple[Organisation, ...]] = (
    *(
        Organisation(key, "school", name, _REGIONS["hub"], number, ("hub",))
        for number, (key, name) in enumerate(_MAINTAINED, 1)
    ),
    *(
        Organisation(key, "school", f"Co-op Academy {name}", _REGIONS[hub], number, (hub, "trust"))
        for number, (key, name, hub) in enumerate(_ACADEMIES, len(_MAINTAINED) + 1)
    ),
)
MAINTAINED: Final = tuple(one.key for one in SCHOOLS if "trust" not in one.parents)
ACADEMIES: Final = tuple(one.key for one in SCHOOLS if "trust" in one.parents)
HUB_OF: Final[Mapping[str, str]] = {one.key: one.parents[0] for one in SCHOOLS}
OTHERS: Final = (
    Organisation("trust", "trust", "Co-op Academies Trust"),
    Organisation("vendor", "vendor", "Foxglove MIS"),
)

# How many pupils each year group has. The first school is the story's, which takes 25 of Year 8 on a visit.
_PER_YEAR: Final = (20, 24, 22, 26, 21, 23, 25)
_ACADEMY_YEARS: Final = (38, 40, 42, 44, 45, 46, 46, 47, 48, 49, 50, 52, 53)


def sizes(school: Organisation) -> Mapping[int, int]:
    """Pupils by NC year: 3,000 in the trust's Years 7 to 11; some 120 in each other school, with a small Year 12."""
    if school.key in ACADEMIES:
        return dict.fromkeys(range(7, 12), _ACADEMY_YEARS[ACADEMIES.index(school.key)])
    at = MAINTAINED.index(school.key)
    each = 30 if at == 0 else _PER_YEAR[at % len(_PER_YEAR)]
    return {**dict.fromkeys(range(7, 12), each), 12: each // 2}


CLIENTS: Final[Mapping[str, str]] = {
    "national": "National reporting",
    "hub": "Hub dashboard",
    "trust": "Trust reporting",
    "authority": "Authority reporting",
    "vendor": "Foxglove MIS",
    "school": "School office",
    "employer": "HR system",
}
"""What the one client of an organisation is called, by the kind of the organisation."""

GRANTED: Final = (
    FieldGroup.IDENTITY.value,
    FieldGroup.ENROLMENT.value,
    FieldGroup.ACCESS_NEEDS.value,
    *(group.value for group in CHARACTERISTIC_GROUPS),
)
_WITHHELD: Final = {
    "aldermoss": ("behaviour", "young_carer"),
    "elmsgarth": ("behaviour",),
    "otterpool": ("behaviour", "looked_after", "young_carer"),
}


def granted_by(school: str) -> tuple[str, ...]:
    """The field groups that a school's controller has granted to the MIS: three schools keep some to themselves."""
    return tuple(group for group in GRANTED if group not in _WITHHELD.get(school, ()))


AGREEMENT: Final[Mapping[str, Any]] = {
    "agreement_version": "2026-1",
    "signatory_role": "Data protection lead",
    "lawful_basis": "public task",
    "processors": ["TenDays", "Foxglove MIS"],
    "except_school_ids": [],
}

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
