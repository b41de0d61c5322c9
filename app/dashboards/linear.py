"""What follows from sums: whether an unknown is given away by equations, found by moving all unknowns at once. Pure.

Whoever knows some sums of unknown numbers knows an unknown (or a sum of them) exactly if nothing else would fit. So
take a random change of all the unknowns that leaves every known sum as it is: what does not move with it is known.
Reckoned modulo a large prime, so that a number that could move stays where it is about once in 10^18 times.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import Final

PRIME: Final = 2**61 - 1

Equation = Mapping[int, int]
"""Coefficients by unknown; they add up to something that is known, whatever it is."""


def move(equations: Iterable[Equation], number: int) -> list[int]:
    """A random change of `number` unknowns under which no equation changes. The same for the same equations."""
    short_first = sorted((one for one in equations if one), key=len)
    seen = Counter(unknown for one in short_first for unknown in one)
    solved: list[tuple[int, dict[int, int]]] = []
    place: dict[int, int] = {}
    for one in short_first:
        row = _reduced(one, solved, place)
        if row:
            pivot = min(row, key=lambda unknown: (seen[unknown], unknown))
            inverse = pow(row.pop(pivot), -1, PRIME)
            place[pivot] = len(solved)
            solved.append((pivot, {unknown: factor * inverse % PRIME for unknown, factor in row.items()}))
    chance = random.Random(number)  # noqa: S311  (nothing secret: any change will do)
    moved = [chance.randrange(1, PRIME) for _ in range(number)]
    for pivot, rest in reversed(solved):
        moved[pivot] = -sum(factor * moved[unknown] for unknown, factor in rest.items()) % PRIME
    return moved


def _reduced(
    one: Equation, solved: list[tuple[int, dict[int, int]]], place: Mapping[int, int]
) -> dict[int, int]:
    """The equation without any unknown that an earlier one has been solved for."""
    row = dict(one)
    waiting = [place[unknown] for unknown in row if unknown in place]
    heapify(waiting)
    while waiting:
        pivot, rest = solved[heappop(waiting)]
        factor = row.pop(pivot, 0)
        if not factor:
            continue
        for unknown, share in rest.items():
            if unknown not in row and unknown in place:
                heappush(waiting, place[unknown])
            left = (row.get(unknown, 0) - factor * share) % PRIME
            if left:
                row[unknown] = left
            else:
                row.pop(unknown, None)
    return row
