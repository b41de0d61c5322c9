"""The words of the model: every enumeration, once, for rules, tables and faces alike.

Each is a `StrEnum`, so a member is its own text in Postgres and in JSON; `values(Enum)` gives the plain tuple
for a CHECK. A word, once released, is never renamed or given another meaning. Sources: docs of the DfE, the
Careers & Enterprise Company and the ONS, as gathered in the domain notes; what may change without a release
lives in dated data elsewhere (`entitlement`, `eligibility`), not here.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final


def values(words: type[StrEnum]) -> tuple[str, ...]:
    """The texts of an enumeration, in the order of its declaration: for a CHECK or an OpenAPI `enum`."""
    return tuple(word.value for word in words)


# --- organisations --------------------------------------------------------------------------------


class OrganisationKind(StrEnum):
    """What an organisation is. Hub and trust are two independent memberships of a school, not one tree."""

    HUB = "hub"
    TRUST = "trust"
    SCHOOL = "school"
    EMPLOYER = "employer"
    VENDOR = "vendor"
    AUTHORITY = "authority"
    NATIONAL = "national"


class SizeBand(StrEnum):
    """Employees: micro 0-9, small 10-49, medium 50-249, large 250 or more."""

    MICRO = "micro"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


SME_BANDS: Final = frozenset({SizeBand.MICRO, SizeBand.SMALL, SizeBand.MEDIUM})


def size_band(employees: int) -> SizeBand:
    """The size band of a head count. Refuses a negative one with ValueError."""
    if employees < 0:
        raise ValueError("a head count is never negative")
    for limit, band in ((10, SizeBand.MICRO), (50, SizeBand.SMALL), (250, SizeBand.MEDIUM)):
        if employees < limit:
            return band
    return SizeBand.LARGE


class Sector(StrEnum):
    """The eight sectors of the Industrial Strategy; a hub adds its own priority sectors beside them."""

    ADVANCED_MANUFACTURING = "advanced_manufacturing"
    CLEAN_ENERGY_INDUSTRIES = "clean_energy_industries"
    CREATIVE_INDUSTRIES = "creative_industries"
    DEFENCE = "defence"
    DIGITAL_AND_TECHNOLOGIES = "digital_and_technologies"
    FINANCIAL_SERVICES = "financial_services"
    LIFE_SCIENCES = "life_sciences"
    PROFESSIONAL_AND_BUSINESS_SERVICES = "professional_and_business_services"


SIC_SECTION_NAMES: Final[Mapping[str, str]] = {
    "A": "Agriculture, forestry and fishing",
    "B": "Mining and quarrying",
    "C": "Manufacturing",
    "D": "Electricity, gas, steam and air conditioning supply",
    "E": "Water supply; sewerage, waste management and remediation activities",
    "F": "Construction",
    "G": "Wholesale and retail trade; repair of motor vehicles and motorcycles",
    "H": "Transportation and storage",
    "I": "Accommodation and food service activities",
    "J": "Information and communication",
    "K": "Financial and insurance activities",
    "L": "Real estate activities",
    "M": "Professional, scientific and technical activities",
    "N": "Administrative and support service activities",
    "O": "Public administration and defence; compulsory social security",
    "P": "Education",
    "Q": "Human health and social work activities",
    "R": "Arts, entertainment and recreation",
    "S": "Other service activities",
    "T": "Activities of households as employers",
    "U": "Activities of extraterritorial organisations and bodies",
}
SIC_SECTIONS: Final[tuple[str, ...]] = tuple(SIC_SECTION_NAMES)


class CoverKind(StrEnum):
    """What stands behind a site. Limit and expiry are tested on `policy` only; the exempt give a dated
    attestation.
    """

    POLICY = "policy"
    NHS_INDEMNITY = "nhs_indemnity"
    PUBLIC_BODY_EXEMPT = "public_body_exempt"
    TAKEN_OUT_FOR_THIS_BOOKING = "taken_out_for_this_booking"


class Liability(StrEnum):
    """Which insurance a kind of experience needs; `statutes.COVER_RULES` has the amounts and dates."""

    EMPLOYERS = "employers_liability"
    PUBLIC = "public_liability"


class ActivityBand(StrEnum):
    """How risky the activity is, as the approval of a site has it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ApprovalState(StrEnum):
    """Where an approval of (site, kind, activity band) stands; lapsing is a matter of its dates."""

    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


# --- what is offered ------------------------------------------------------------------------------


class ExperienceKind(StrEnum):
    """What an experience is. `innovative` is the licence to innovate: described in free text."""

    WORKPLACE_TOUR = "workplace_tour"
    WORKPLACE_VISIT = "workplace_visit"
    EMPLOYER_TALK_ON_SITE = "employer_talk_on_site"
    WORK_SHADOWING = "work_shadowing"
    EMPLOYER_PROJECT = "employer_project"
    PLACEMENT = "placement"
    VIRTUAL_EXPERIENCE = "virtual_experience"
    SCHOOL_BASED_ENCOUNTER = "school_based_encounter"
    INNOVATIVE = "innovative"


class Mode(StrEnum):
    """Where it takes place; a hybrid carries both parts in minutes."""

    IN_PERSON = "in_person"
    VIRTUAL = "virtual"
    HYBRID = "hybrid"


class Grouping(StrEnum):
    """Who comes."""

    INDIVIDUAL = "individual"
    GROUP = "group"
    CLASS = "class"


class Tier(IntEnum):
    """How deep it goes: inspire, explore roles, apply."""

    INSPIRE = 1
    EXPLORE = 2
    APPLY = 3


TIERS: Final[tuple[int, ...]] = tuple(tier.value for tier in Tier)


class OfferState(StrEnum):
    """Where an offer stands; only an `open` one is found by schools."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"


class SlotState(StrEnum):
    """Where a dated chance stands; a full slot is an `open` one with no places left."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Visibility(StrEnum):
    """Who finds an offer."""

    ALL_SCHOOLS = "all_schools"
    NAMED_HUBS = "named_hubs"
    NAMED_PROGRAMMES = "named_programmes"
    NAMED_SCHOOLS = "named_schools"


class Skill(StrEnum):
    """The essential skills, by stable code; the label shown depends on the framework version
    (`SKILL_LABELS`).
    """

    LISTENING = "listening"
    SPEAKING = "speaking"
    PROBLEM_SOLVING = "problem_solving"
    CREATIVITY = "creativity"
    STAYING_POSITIVE = "staying_positive"
    AIMING_HIGH = "aiming_high"
    LEADERSHIP = "leadership"
    TEAMWORK = "teamwork"


SKILL_STEPS: Final[range] = range(16)
SKILL_FRAMEWORKS: Final[tuple[str, ...]] = ("skills_builder", "uf2")
_PLAIN_LABELS: Final[Mapping[Skill, str]] = {
    skill: skill.value.replace("_", " ").capitalize() for skill in Skill
}
SKILL_LABELS: Final[Mapping[str, Mapping[Skill, str]]] = {
    "skills_builder": _PLAIN_LABELS,
    "uf2": {**_PLAIN_LABELS, Skill.STAYING_POSITIVE: "Adapting", Skill.AIMING_HIGH: "Planning"},
}


class Criterion(StrEnum):
    """What makes an experience meaningful under Gatsby benchmarks 5 and 6; see `benchmarks` for which needs
    which.
    """

    CLEAR_SHARED_PURPOSE = "clear_shared_purpose"
    LEARNING_OUTCOMES = "learning_outcomes"
    TWO_WAY_INTERACTION = "two_way_interaction"
    EXTENSIVE_TWO_WAY_INTERACTION = "extensive_two_way_interaction"
    RANGE_OF_PEOPLE = "range_of_people"
    TASK_SET_BY_EMPLOYER = "task_set_by_employer"
    EMPLOYER_FEEDBACK = "employer_feedback"
    REFLECTION = "reflection"


BM5_CRITERIA: Final[tuple[Criterion, ...]] = (
    Criterion.CLEAR_SHARED_PURPOSE,
    Criterion.LEARNING_OUTCOMES,
    Criterion.TWO_WAY_INTERACTION,
    Criterion.REFLECTION,
)
BM6_CRITERIA: Final[tuple[Criterion, ...]] = (
    Criterion.CLEAR_SHARED_PURPOSE,
    Criterion.LEARNING_OUTCOMES,
    Criterion.EXTENSIVE_TWO_WAY_INTERACTION,
    Criterion.RANGE_OF_PEOPLE,
    Criterion.TASK_SET_BY_EMPLOYER,
    Criterion.EMPLOYER_FEEDBACK,
    Criterion.REFLECTION,
)

# --- bookings -------------------------------------------------------------------------------------


class BookingState(StrEnum):
    """Where a booking stands. Who may move it is in `booking.MOVES`."""

    WAITING = "waiting"
    REQUESTED = "requested"
    COUNTERED = "countered"
    CONFIRMED = "confirmed"
    ON_HOLD = "on_hold"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


class BookingAction(StrEnum):
    """What may be done to a booking."""

    REQUEST = "request"
    JOIN_WAITING_LIST = "join_waiting_list"
    PROMOTE = "promote"
    COUNTER = "counter"
    ACCEPT_COUNTER = "accept_counter"
    CONFIRM = "confirm"
    DECLINE = "decline"
    CANCEL = "cancel"
    EXPIRE = "expire"
    HOLD = "hold"
    RELEASE = "release"
    RESCHEDULE = "reschedule"
    ACCEPT_PROPOSAL = "accept_proposal"
    DECLINE_PROPOSAL = "decline_proposal"
    WITHDRAW_PROPOSAL = "withdraw_proposal"
    END_PROPOSAL = "end_proposal"
    COMPLETE = "complete"


class Actor(StrEnum):
    """On whose behalf a move is made: the side, not the client. A vendor acts as the school it acts for."""

    SCHOOL = "school"
    EMPLOYER = "employer"
    OVERSEER = "overseer"  # a hub or a trust: it may suspend and lift, never book
    SYSTEM = "system"


class BookingReason(StrEnum):
    """Why a booking was declined, countered, cancelled, held or expired. `REASONS_FOR` says who may say
    which.
    """

    # an employer's
    TOO_TIME_CONSUMING = "too_time_consuming"
    NO_SUITABLE_TASKS = "no_suitable_tasks"
    NO_SUPERVISOR = "no_supervisor"
    CAPACITY = "capacity"
    GROUP_TOO_LARGE = "group_too_large"
    DATE_UNSUITABLE = "date_unsuitable"
    AGE_UNSUITABLE = "age_unsuitable"
    ADJUSTMENT_NOT_POSSIBLE = "adjustment_not_possible"
    RISK_ASSESSMENT = "risk_assessment"
    INSURANCE = "insurance"
    SITE_CLOSED = "site_closed"
    BUSINESS_CHANGE = "business_change"
    INDUSTRIAL_ACTION = "industrial_action"
    OFFER_WITHDRAWN = "offer_withdrawn"
    # a school's
    PUPIL_WITHDRAWN = "pupil_withdrawn"
    PARENTAL_AGREEMENT_WITHDRAWN = "parental_agreement_withdrawn"
    TRANSPORT = "transport"
    COST = "cost"
    STAFFING = "staffing"
    TIMETABLE_CLASH = "timetable_clash"
    SCHOOL_CLOSED = "school_closed"
    NOT_NEEDED = "not_needed"
    DUPLICATE = "duplicate"
    WITHDRAWN_BY_SCHOOL = "withdrawn_by_school"  # what an employer reads where the reason is private
    # either's
    WEATHER = "weather"
    SAFEGUARDING = "safeguarding"
    ILLNESS = "illness"
    OTHER = "other"
    # an overseer's or the house's own
    EMPLOYER_SUSPENDED = "employer_suspended"
    COVER_LAPSED = "cover_lapsed"
    APPROVAL_WITHDRAWN = "approval_withdrawn"
    UNDER_REVIEW = "under_review"
    HOLD_LIFTED = "hold_lifted"
    COVER_RENEWED = "cover_renewed"
    NO_ANSWER_FROM_EMPLOYER = "no_answer_from_employer"
    NO_ANSWER_FROM_SCHOOL = "no_answer_from_school"
    SLOT_STARTED = "slot_started"
    SLOT_CANCELLED = "slot_cancelled"
    PARTICIPANTS_NOT_NAMED = "participants_not_named"
    GRANT_REVOKED = "grant_revoked"


_R = BookingReason
_EMPLOYER_NO: Final[tuple[BookingReason, ...]] = (
    _R.TOO_TIME_CONSUMING,
    _R.NO_SUITABLE_TASKS,
    _R.NO_SUPERVISOR,
    _R.CAPACITY,
    _R.GROUP_TOO_LARGE,
    _R.DATE_UNSUITABLE,
    _R.AGE_UNSUITABLE,
    _R.ADJUSTMENT_NOT_POSSIBLE,
    _R.RISK_ASSESSMENT,
    _R.INSURANCE,
    _R.SITE_CLOSED,
    _R.BUSINESS_CHANGE,
    _R.INDUSTRIAL_ACTION,
    _R.OFFER_WITHDRAWN,
    _R.WEATHER,
    _R.SAFEGUARDING,
    _R.ILLNESS,
    _R.OTHER,
)
_SCHOOL_NO: Final[tuple[BookingReason, ...]] = (
    _R.PUPIL_WITHDRAWN,
    _R.PARENTAL_AGREEMENT_WITHDRAWN,
    _R.TRANSPORT,
    _R.COST,
    _R.STAFFING,
    _R.TIMETABLE_CLASH,
    _R.DATE_UNSUITABLE,
    _R.CAPACITY,
    _R.SCHOOL_CLOSED,
    _R.NOT_NEEDED,
    _R.DUPLICATE,
    _R.WITHDRAWN_BY_SCHOOL,
    _R.RISK_ASSESSMENT,
    _R.WEATHER,
    _R.SAFEGUARDING,
    _R.ILLNESS,
    _R.OTHER,
)
_HOLD: Final = (
    _R.EMPLOYER_SUSPENDED,
    _R.COVER_LAPSED,
    _R.APPROVAL_WITHDRAWN,
    _R.SAFEGUARDING,
    _R.UNDER_REVIEW,
)
_LIFT: Final = (_R.HOLD_LIFTED, _R.COVER_RENEWED)
_LAPSE: Final = (
    _R.NO_ANSWER_FROM_EMPLOYER,
    _R.NO_ANSWER_FROM_SCHOOL,
    _R.SLOT_STARTED,
    _R.SLOT_CANCELLED,
    _R.PARTICIPANTS_NOT_NAMED,
    _R.EMPLOYER_SUSPENDED,
)

REASONS_FOR: Final[Mapping[tuple[BookingAction, Actor], tuple[BookingReason, ...]]] = {
    (BookingAction.DECLINE, Actor.EMPLOYER): _EMPLOYER_NO,
    (BookingAction.DECLINE, Actor.SCHOOL): _SCHOOL_NO,
    (BookingAction.COUNTER, Actor.EMPLOYER): _EMPLOYER_NO,
    (BookingAction.RESCHEDULE, Actor.EMPLOYER): _EMPLOYER_NO,
    (BookingAction.RESCHEDULE, Actor.SCHOOL): _SCHOOL_NO,
    (BookingAction.DECLINE_PROPOSAL, Actor.EMPLOYER): _EMPLOYER_NO,
    (BookingAction.DECLINE_PROPOSAL, Actor.SCHOOL): _SCHOOL_NO,
    (BookingAction.END_PROPOSAL, Actor.SYSTEM): (
        _R.NO_ANSWER_FROM_EMPLOYER,
        _R.NO_ANSWER_FROM_SCHOOL,
        _R.SLOT_STARTED,
        _R.SLOT_CANCELLED,
    ),
    (BookingAction.CANCEL, Actor.EMPLOYER): _EMPLOYER_NO,
    (BookingAction.CANCEL, Actor.SCHOOL): _SCHOOL_NO,
    (BookingAction.CANCEL, Actor.SYSTEM): (
        _R.SLOT_CANCELLED,
        _R.PARTICIPANTS_NOT_NAMED,
        _R.GRANT_REVOKED,
        _R.PUPIL_WITHDRAWN,
        *_EMPLOYER_NO,  # why the employer cancelled the slot, withdrew the offer or closed the site
    ),
    (BookingAction.HOLD, Actor.OVERSEER): _HOLD,
    (BookingAction.HOLD, Actor.SYSTEM): _HOLD,
    (BookingAction.RELEASE, Actor.OVERSEER): _LIFT,
    (BookingAction.RELEASE, Actor.SYSTEM): _LIFT,
    (BookingAction.EXPIRE, Actor.SYSTEM): _LAPSE,
}
"""The reason codes that may go with a move, by who makes it. A move that is not listed takes no reason."""

REASON_REQUIRED: Final = frozenset({BookingAction.DECLINE, BookingAction.CANCEL, BookingAction.HOLD})

PRIVATE_TO_SCHOOL: Final = frozenset(
    {_R.SAFEGUARDING, _R.PARENTAL_AGREEMENT_WITHDRAWN, _R.ILLNESS, _R.PUPIL_WITHDRAWN, _R.GRANT_REVOKED}
)
"""A school's reasons that say something about a pupil: the employer reads `withdrawn_by_school` instead."""


# --- persons --------------------------------------------------------------------------------------


class EnrolmentKind(StrEnum):
    """How a pupil is registered at a school; figures count the main one."""

    MAIN = "main"
    SUBSIDIARY = "subsidiary"
    GUEST = "guest"


class EnrolmentState(StrEnum):
    """`claimed`: a second school said so and waits; it sees nothing of the first."""

    ACTIVE = "active"
    CLAIMED = "claimed"
    LEFT = "left"


class FieldGroup(StrEnum):
    """What a grant opens, one by one. `identity` and `enrolment` are what a roster needs; every other is off
    until granted.
    """

    IDENTITY = "identity"
    ENROLMENT = "enrolment"
    ACCESS_NEEDS = "access_needs"
    SEN = "sen"
    FREE_SCHOOL_MEALS = "free_school_meals"
    PUPIL_PREMIUM = "pupil_premium"
    EAL = "eal"
    LOOKED_AFTER = "looked_after"
    SERVICE_CHILD = "service_child"
    YOUNG_CARER = "young_carer"
    ATTENDANCE = "attendance"
    BEHAVIOUR = "behaviour"


CHARACTERISTIC_GROUPS: Final[tuple[FieldGroup, ...]] = (
    FieldGroup.SEN,
    FieldGroup.FREE_SCHOOL_MEALS,
    FieldGroup.PUPIL_PREMIUM,
    FieldGroup.EAL,
    FieldGroup.LOOKED_AFTER,
    FieldGroup.SERVICE_CHILD,
    FieldGroup.YOUNG_CARER,
    FieldGroup.ATTENDANCE,
    FieldGroup.BEHAVIOUR,
)
HUB_LEVEL_ONLY_GROUPS: Final = frozenset({FieldGroup.LOOKED_AFTER, FieldGroup.YOUNG_CARER})


class Sen(StrEnum):
    """SEN provision as the school census has it: none, SEN support, education health and care plan."""

    NONE = "N"
    SUPPORT = "K"
    PLAN = "E"


class AbsenceBand(StrEnum):
    """Share of sessions missed: persistent from 10 %, severe from 50 %."""

    NONE = "none"
    PERSISTENT = "persistent"
    SEVERE = "severe"


class ParentalAgreement(StrEnum):
    """What was asked of a parent about one named placement. The lawful basis is public task, not this."""

    NOT_ASKED = "not_asked"
    ASKED = "asked"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


NC_YEARS: Final[tuple[str, ...]] = ("E1", "E2", "N1", "N2", "R", *(str(year) for year in range(1, 15)), "X")


class KeyStage(StrEnum):
    """The key stages: KS3 is Years 7-9, KS4 10-11, KS5 12-14."""

    EARLY_YEARS = "early_years"
    KS1 = "KS1"
    KS2 = "KS2"
    KS3 = "KS3"
    KS4 = "KS4"
    KS5 = "KS5"


class EntitlementBand(StrEnum):
    """Which week of the guarantee a year group is in. Years 12-14 earn towards the total only."""

    YEARS_7_9 = "years_7_9"
    YEARS_10_11 = "years_10_11"
    POST_16 = "post_16"


def key_stage(nc_year: str) -> KeyStage | None:
    """The key stage of an NC year; None for `X`, which `school_calendar` bands by date of birth. ValueError
    if unknown.
    """
    if nc_year not in NC_YEARS:
        raise ValueError(f"not an NC year: {nc_year!r}")
    if nc_year == "X":
        return None
    if not nc_year.isdigit():
        return KeyStage.EARLY_YEARS
    stages = ((2, KeyStage.KS1), (6, KeyStage.KS2), (9, KeyStage.KS3), (11, KeyStage.KS4), (14, KeyStage.KS5))
    return next(stage for last, stage in stages if int(nc_year) <= last)


_BAND_OF_STAGE: Final = {
    KeyStage.KS3: EntitlementBand.YEARS_7_9,
    KeyStage.KS4: EntitlementBand.YEARS_10_11,
    KeyStage.KS5: EntitlementBand.POST_16,
}


def entitlement_band(nc_year: str) -> EntitlementBand | None:
    """The entitlement band of an NC year; None below Year 7 and for `X`. ValueError if unknown."""
    stage = key_stage(nc_year)
    return _BAND_OF_STAGE.get(stage) if stage else None


# --- what happened --------------------------------------------------------------------------------


class AttendanceStatus(StrEnum):
    """One pupil at one sitting. Times are kept beside it, so late *and* left early reads `left_early`."""

    EXPECTED = "expected"
    ARRIVED = "arrived"
    PRESENT = "present"
    LATE = "late"
    LEFT_EARLY = "left_early"
    NO_SHOW = "no_show"
    EXCUSED = "excused"
    CLOSED = "closed"


class Hazard(StrEnum):
    """What the work involves that some law forbids below an age; `statutes.AGE_PROHIBITIONS` has the ages."""

    ALCOHOL_SALES = "alcohol_sales"
    GAMBLING_PREMISES = "gambling_premises"
    LEAD_PROCESSES = "lead_processes"
    CLASSIFIED_RADIATION_WORK = "classified_radiation_work"
    AGRICULTURAL_VEHICLES = "agricultural_vehicles"
    SHIPS = "ships"


class Reporter(StrEnum):
    """Who says what happened: the employer, or the school's own staff."""

    EMPLOYER = "employer"
    SCHOOL = "school"


class NoShowResolution(StrEnum):
    """How the school closed a no-show."""

    IN_SCHOOL = "in_school"
    KNOWN_ABSENCE = "known_absence"
    LOCATED = "located"
    ESCALATED = "escalated"


class AttendanceCode(StrEnum):
    """The register codes this system may propose; the school decides."""

    WORK_EXPERIENCE = "W"
    SUPERVISED_VISIT = "V"
    OFF_SITE_ACTIVITY = "B"


class RegisterSession(StrEnum):
    """The two sessions of a school register."""

    AM = "AM"
    PM = "PM"


class LedgerEntryKind(StrEnum):
    """What a line of the minutes ledger is; nothing is ever overwritten."""

    CREDIT = "credit"
    REVERSAL = "reversal"
    TRANSFERRED_IN = "transferred_in"


# --- figures --------------------------------------------------------------------------------------


class CoverageBand(StrEnum):
    """Share of students, in per cent, in the bands hubs report."""

    NONE = "0"
    TO_25 = "1-25"
    TO_50 = "26-50"
    TO_75 = "51-75"
    TO_99 = "76-99"
    ALL = "100"
    UNKNOWN = "unknown"
