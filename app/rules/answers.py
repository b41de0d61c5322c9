"""How a rule says no: a stable code for machines and a sentence for people."""

from dataclasses import dataclass

from app.rules.words import ExperienceKind


@dataclass(frozen=True)
class Refusal:
    """A move or a value that the rules do not allow. `code` is stable; `detail` may be reworded."""

    code: str
    detail: str


@dataclass(frozen=True)
class Reason:
    """One reason against a booking or a pupil's place, or one warning. `possible_kinds` names what is lawful
    instead.
    """

    code: str
    detail: str
    possible_kinds: tuple[ExperienceKind, ...] = ()
