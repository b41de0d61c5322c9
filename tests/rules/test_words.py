"""The words: plain text, no repeats, and as many as the sources say."""

import inspect
import json
from enum import StrEnum

import pytest

from app.rules import words

ENUMS = [each for _, each in inspect.getmembers(words, inspect.isclass) if issubclass(each, StrEnum)]
ENUMS = [each for each in ENUMS if each is not StrEnum]


@pytest.mark.parametrize("words_of", ENUMS, ids=lambda each: each.__name__)
def test_every_word_is_its_own_text(words_of: type[StrEnum]) -> None:
    texts = words.values(words_of)
    assert len(texts) == len(set(texts)) > 1
    assert json.loads(json.dumps(list(words_of))) == list(texts)


def test_there_are_as_many_as_the_sources_say() -> None:
    assert len(words.Sector) == 8
    assert "".join(words.SIC_SECTIONS) == "ABCDEFGHIJKLMNOPQRSTU"
    assert len(words.Skill) == 8
    assert (len(words.BM5_CRITERIA), len(words.BM6_CRITERIA)) == (4, 7)
    assert len(words.ExperienceKind) == 9
    assert len(words.BookingState) == 9
    assert words.TIERS == (1, 2, 3)
    assert len(words.NC_YEARS) == 20


def test_every_skill_has_a_label_in_every_framework() -> None:
    for framework in words.SKILL_FRAMEWORKS:
        assert set(words.SKILL_LABELS[framework]) == set(words.Skill)
