"""Sixty made-up employers, nine in ten of them small or medium-sized, and what each offers to schools."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any, Final

from app.demo.data import BM5, BM6
from app.rules.words import ExperienceKind, Skill

_K = ExperienceKind


@dataclass(frozen=True, slots=True)
class Form:
    """A form of experience: what every offer of this form has. `gap` is the days from one sitting to the next."""

    kind: ExperienceKind
    title: str
    years: tuple[int, ...]
    criteria: tuple[str, ...]
    capacity: int
    begins: time
    ends: time
    rest: int = 0
    days: int = 1
    gap: int = 1
    tier: int = 1
    grouping: str = "group"
    mode: str = "in_person"

    @property
    def minutes(self) -> int:
        """Planned minutes of one sitting."""
        long = (self.ends.hour - self.begins.hour) * 60 + self.ends.minute - self.begins.minute
        return long - self.rest


FORMS: Final[Mapping[str, Form]] = {
    "tour": Form(
        _K.WORKPLACE_TOUR, "{about}: a tour and four people's jobs", (7, 8, 9, 10, 11), BM5, 30,
        time(10), time(12),
    ),
    "visit": Form(
        _K.WORKPLACE_VISIT, "Two afternoons of {about}", (7, 8, 9, 10), BM6, 20, time(13), time(15, 30), days=2,
        gap=7, tier=2,
    ),
    "project": Form(
        _K.EMPLOYER_PROJECT, "A brief from us: {about}", (7, 8, 9, 10, 11), BM6, 20, time(9, 30), time(15, 15),
        45, tier=2,
    ),
    "placement": Form(
        _K.PLACEMENT, "A week of {about}", (10, 11), BM6, 6, time(9), time(15), 60, days=5, tier=3,
        grouping="individual",
    ),
    "shadowing": Form(
        _K.WORK_SHADOWING, "A day beside somebody: {about}", (9, 10, 11), BM6, 6, time(9, 30), time(15, 30), 60,
        tier=2, grouping="individual",
    ),
    "talk": Form(
        _K.EMPLOYER_TALK_ON_SITE, "How I came to {about}", (7, 8, 9), BM5, 45, time(13, 30), time(14, 30),
        grouping="class",
    ),
    "innovative": Form(
        _K.INNOVATIVE, "Three Fridays, one prototype: {about}", (7, 8, 9, 10, 11), BM6, 18, time(13), time(15),
        days=3, gap=7, tier=2,
    ),
    "online": Form(
        _K.VIRTUAL_EXPERIENCE, "Live from the bench: {about}", (7, 8, 9, 10, 11), BM5, 60, time(14), time(15, 30),
        grouping="class", mode="virtual",
    ),
}  # fmt: skip
WHAT_IS_NEW: Final = (
    "Pupils come three Fridays running, find a fault in something we make, and build and show a way round it."
)


_COVERS: Final = {
    **dict.fromkeys(("wrenfield", "northgate", "roundhay"), "nhs_indemnity"),
    "shire": "public_body_exempt",
}


@dataclass(frozen=True, slots=True)
class Employer:
    """One employer with its one site; `hub` is whose area it lies in, and who approves it."""

    key: str
    name: str
    size_band: str
    sic_section: str
    sector: str | None
    town: str
    postcode: str
    hub: str
    about: str
    forms: tuple[str, ...]

    @property
    def cover(self) -> str:
        """The kind of cover behind its site."""
        return _COVERS.get(self.key, "policy")

    def ref(self, form: str) -> str:
        """Its own reference to an offer."""
        return f"{form}-{self.key}"

    def offer(self, form: str) -> dict[str, Any]:
        """The offer as its HR system posts it."""
        made = FORMS[form]
        chance = random.Random(f"skills {self.key} {form}")  # noqa: S311
        return {
            "external_ref": self.ref(form),
            "site_ref": "main",
            "title": made.title.format(about=self.about)[:1].upper()
            + made.title.format(about=self.about)[1:],
            "description": WHAT_IS_NEW if form == "innovative" else None,
            "kind": made.kind.value,
            "mode": made.mode,
            "grouping": made.grouping,
            "tier": made.tier,
            "sector": self.sector,
            "skills": sorted(chance.sample([skill.value for skill in Skill], 3)),
            "year_groups": [str(year) for year in made.years],
            "criteria": list(made.criteria),
            "activity_band": "low",
            "visibility": "all_schools",
        }


_LIFE, _MADE, _CODE = "life_sciences", "advanced_manufacturing", "digital_and_technologies"
_CREATIVE, _CLEAN, _MONEY = "creative_industries", "clean_energy_industries", "financial_services"
_ADVICE = "professional_and_business_services"
_BANDS: Final = {"1": "micro", "2": "small", "3": "medium", "4": "large"}

# key, name, size, SIC section, sector, town, postcode, what it does, forms
_HERTFORDSHIRE: Final = (
    ("employer", "Quillfeather Biosciences", "2M", _LIFE, "Stevenage", "SG1 9ZZ",
     "testing plants for disease", "tour placement talk project"),
    ("engineer", "Tanner & Wren Precision", "3C", _MADE, "Hatfield", "AL10 9ZZ",
     "machining parts for aircraft", "tour visit placement"),
    ("studio", "Larkrise Data Studio", "1J", _CODE, "Watford", "WD17 9ZZ",
     "mapping for councils", "project talk innovative"),
    ("bindweed", "Bindweed Therapeutics", "2M", _LIFE, "Stevenage", "SG2 9ZZ",
     "growing cells", "tour shadowing"),
    ("coldwater", "Coldwater Diagnostics", "3M", _LIFE, "Welwyn Garden City", "AL7 9ZZ",
     "finding illness early", "tour placement project"),
    ("hedgelight", "Hedgelight Solar", "2D", _CLEAN, "Letchworth", "SG6 9ZZ",
     "keeping the lights on", "tour project"),
    ("ninewells", "Nine Wells Pumps", "2C", _MADE, "Hitchin", "SG5 9ZZ",
     "moving water uphill", "tour visit placement"),
    ("parchment", "Parchment & Gale", "1M", _ADVICE, "St Albans", "AL1 9ZZ",
     "drawing buildings", "project shadowing"),
    ("brackenbyte", "Brackenbyte", "1J", _CODE, "St Albans", "AL3 9ZZ",
     "making games", "project innovative online"),
    ("tollhouse", "Tollhouse Kitchens", "2I", None, "Hertford", "SG14 9ZZ",
     "cooking for two hundred", "tour visit"),
    ("greybarn", "Greybarn Farm", "1A", None, "Royston", "SG8 9ZZ", "running a farm", "tour talk"),
    ("fennel", "Fennel & Daughters", "1G", None, "Ware", "SG12 9ZZ", "keeping a shop", "shadowing talk"),
    ("skylark", "Skylark Sets", "2R", _CREATIVE, "Borehamwood", "WD6 9ZZ",
     "building film sets", "tour project innovative"),
    ("copperline", "Copperline Networks", "3J", _CODE, "Hemel Hempstead", "HP2 9ZZ",
     "joining up the towns", "tour placement online"),
    ("marlin", "Marlin Actuators", "3C", _MADE, "Letchworth", "SG6 9ZZ",
     "making things move", "tour placement project"),
    ("ashpole", "Ashpole Builders", "2F", None, "Bishop's Stortford", "CM23 9ZZ",
     "building a street", "visit placement"),
    ("wrenfield", "Wrenfield Hospital Trust", "4Q", _LIFE, "Welwyn Garden City", "AL7 9ZZ",
     "running a hospital", "tour placement talk"),
    ("shire", "Three Shires Council", "4O", None, "Hertford", "SG13 9ZZ",
     "looking after a county", "tour placement shadowing"),
    ("paddock", "Paddock Logistics", "3H", None, "Hatfield", "AL10 9ZZ",
     "getting a parcel home", "tour visit"),
    ("lantern", "Lantern Street Theatre", "1R", _CREATIVE, "Watford", "WD18 9ZZ",
     "putting on a play", "tour innovative talk"),
    ("oakapple", "Oakapple Accounts", "2K", _MONEY, "St Albans", "AL1 9ZZ",
     "following the money", "project shadowing"),
    ("rookery", "Rookery Robotics", "2C", _MADE, "Stevenage", "SG1 9ZZ",
     "teaching robots", "tour project innovative"),
    ("silverleaf", "Silverleaf Care Homes", "3Q", None, "Harpenden", "AL5 9ZZ",
     "caring for people", "visit shadowing"),
    ("tinderbox", "Tinderbox Security", "2J", _CODE, "Hemel Hempstead", "HP1 9ZZ",
     "keeping data safe", "project online"),
    ("bluegate", "Bluegate Airframes", "4C", _MADE, "Hatfield", "AL9 9ZZ",
     "building wings", "tour placement"),
    ("windrush", "Windrush Energy Storage", "2D", _CLEAN, "Stevenage", "SG2 9ZZ",
     "saving sunshine", "tour project"),
    ("pipistrel", "Pipistrel Print", "1C", _CREATIVE, "Berkhamsted", "HP4 9ZZ",
     "printing books", "visit innovative"),
    ("juniper", "Juniper Vets", "1M", _LIFE, "Tring", "HP23 9ZZ", "mending animals", "shadowing talk"),
)  # fmt: skip
_MANCHESTER: Final = (
    ("robotics", "Irwell Robotics", "2C", _MADE, "Salford", "M50 9ZZ",
     "programming robots", "tour visit placement"),
    ("pennine", "Pennine Assays", "2M", _LIFE, "Manchester", "M13 9ZZ",
     "counting molecules", "tour visit placement shadowing"),
    ("loomcode", "Loomcode", "1J", _CODE, "Stockport", "SK1 9ZZ", "writing apps", "project shadowing online"),
    ("bobbin", "Bobbin & Beam Textiles", "3C", _MADE, "Rochdale", "OL11 9ZZ",
     "weaving for cars", "tour visit placement"),
    ("medlock", "Medlock Medical Imaging", "2Q", _LIFE, "Manchester", "M11 9ZZ",
     "seeing inside people", "tour placement shadowing"),
    ("cottonpoint", "Cotton Point Media", "1R", _CREATIVE, "Salford", "M5 9ZZ",
     "making radio", "project innovative talk"),
    ("tarn", "Tarn Analytics", "1J", _CODE, "Bolton", "BL1 9ZZ", "asking data", "project shadowing"),
    ("etherow", "Etherow Valves", "3C", _MADE, "Oldham", "OL1 9ZZ", "stopping leaks", "visit placement"),
    ("northgate", "Northgate Hospitals", "4Q", _LIFE, "Manchester", "M8 9ZZ",
     "running laboratories", "tour placement"),
    ("cloudwater", "Beehive Cloud", "3J", _CODE, "Manchester", "M1 9ZZ",
     "running the cloud", "tour placement online"),
)  # fmt: skip
_LIVERPOOL: Final = (
    ("merseylab", "Mersey Vaccines", "3M", _LIFE, "Liverpool", "L24 9ZZ",
     "making vaccines", "tour visit placement"),
    ("dockside", "Dockside Sensors", "2C", _MADE, "Bootle", "L20 9ZZ",
     "measuring the sea", "tour visit placement shadowing"),
    ("gullwing", "Gullwing Games", "1J", _CODE, "Liverpool", "L1 9ZZ",
     "making games", "project shadowing online"),
    ("tidemark", "Tidemark Wind", "2D", _CLEAN, "Birkenhead", "CH41 9ZZ", "catching wind", "tour project"),
    ("sandon", "Sandon Glass", "2C", _MADE, "St Helens", "WA10 9ZZ", "blowing glass", "visit placement"),
    ("albertine", "Albertine Care", "1Q", _LIFE, "Liverpool", "L8 9ZZ",
     "helping at home", "shadowing talk placement"),
    ("portolan", "Portolan Software", "2J", _CODE, "Liverpool", "L3 9ZZ",
     "steering ships by code", "project placement"),
    ("cargill", "Crosswinds Freight", "4H", None, "Liverpool", "L19 9ZZ", "loading a ship", "tour visit"),
)  # fmt: skip
_MIDLANDS: Final = (
    ("anvil", "Anvil Lane Forgings", "3C", _MADE, "Dudley", "DY1 9ZZ",
     "forging steel", "tour visit placement"),
    ("jewel", "Hockley Microparts", "1C", _MADE, "Birmingham", "B18 9ZZ",
     "making what is tiny", "visit placement shadowing"),
    ("sutton", "Sutton Genomics", "2M", _LIFE, "Birmingham", "B15 9ZZ",
     "reading genes", "tour project placement"),
    ("tameside", "Spaghetti Junction Labs", "1J", _CODE, "Birmingham", "B6 9ZZ",
     "timing traffic", "project shadowing online"),
    ("wulfrun", "Wulfrun Batteries", "2C", _MADE, "Wolverhampton", "WV1 9ZZ", "storing power", "tour visit"),
    ("mercian", "Mercian Health Apps", "2J", _CODE, "Coventry", "CV1 9ZZ",
     "caring by phone", "project placement"),
    ("blackthorn", "Blackthorn Prosthetics", "2C", _LIFE, "Walsall", "WS1 9ZZ",
     "building hands", "tour visit placement"),
    ("longbridge", "Longford Motors", "4C", _MADE, "Birmingham", "B31 9ZZ",
     "building vans", "tour placement"),
)  # fmt: skip
_YORKSHIRE: Final = (
    ("aire", "Aire Valley Optics", "2C", _MADE, "Leeds", "LS11 9ZZ", "bending light", "tour visit placement"),
    ("millrace", "Millrace Digital", "1J", _CODE, "Bradford", "BD1 9ZZ",
     "making websites", "project shadowing online"),
    ("calder", "Calder Biologics", "2M", _LIFE, "Wakefield", "WF1 9ZZ",
     "brewing medicines", "tour placement"),
    ("roundhay", "Roundhouse Health", "4Q", _LIFE, "Leeds", "LS9 9ZZ", "running a ward", "tour placement"),
    ("worsted", "Worsted Works", "1C", _MADE, "Bradford", "BD4 9ZZ", "spinning", "visit placement shadowing"),
    ("ledger", "Canal Wharf Insurance", "3K", _MONEY, "Leeds", "LS1 9ZZ",
     "weighing risk", "project innovative"),
)  # fmt: skip


def _employers(
    hub: str, rows: tuple[tuple[str, str, str, str | None, str, str, str, str], ...]
) -> list[Employer]:
    return [
        Employer(
            key, name, _BANDS[kind[0]], kind[1], sector, town, postcode, hub, about, tuple(forms.split())
        )
        for key, name, kind, sector, town, postcode, about, forms in rows
    ]


EMPLOYERS: Final[tuple[Employer, ...]] = (
    *_employers("hub", _HERTFORDSHIRE),
    *_employers("hub_manchester", _MANCHESTER),
    *_employers("hub_liverpool", _LIVERPOOL),
    *_employers("hub_midlands", _MIDLANDS),
    *_employers("hub_yorkshire", _YORKSHIRE),
)
BY_KEY: Final[Mapping[str, Employer]] = {one.key: one for one in EMPLOYERS}
