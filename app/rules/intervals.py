"""How far a figure can be trusted: 95 % intervals of a share, a mean, a median and a ratio. Pure.

What was seen is taken as one sample of what might have been seen. None of it corrects for how the sample came about:
schools that chose their part, or were chosen for it, are no random draw, and two intervals apart do not say why.
"""

from collections.abc import Sequence
from math import ceil, comb, floor, isqrt, sqrt
from typing import Final, NamedTuple

_Z: Final = 1.959963984540054  # the 97.5th percentile of the normal distribution
# The same of Student's t with 1 to 30 degrees of freedom.
_T: Final = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
    2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963,
    2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272,
)  # fmt: skip
_TAIL: Final = 0.025
_EXACT_UP_TO: Final = 1_000


class Interval(NamedTuple):
    """From and to, in the unit of the figure."""

    lower: float
    upper: float


def of_share(part: int, base: int) -> Interval | None:
    """Wilson's score interval of `part` in `base`, as fractions; None of an empty base.

    It holds its promise for small bases and for shares near 0 and 1, where the usual one has no width.
    """
    if base < 1:
        return None
    share, square = part / base, _Z * _Z
    middle = (share + square / (2 * base)) / (1 + square / base)
    half = _Z * sqrt(share * (1 - share) / base + square / (4 * base * base)) / (1 + square / base)
    return Interval(middle - half if part else 0.0, middle + half if part < base else 1.0)


def of_mean(count: int, total: float, squares: float) -> Interval | None:
    """Student's interval of the mean of `count` values with this sum and sum of squares; None of fewer than two."""
    half = half_width(count, total, squares)
    return None if half is None else Interval(total / count - half, total / count + half)


def half_width(count: int, total: float, squares: float) -> float | None:
    """Half of the width of `of_mean`."""
    if count < 2:  # noqa: PLR2004
        return None
    variance = max(0.0, (squares - total * total / count) / (count - 1))
    return student(count - 1) * sqrt(variance / count)


def of_median(ordered: Sequence[float]) -> Interval | None:
    """Two of the ordered values between which the median lies; None of fewer than six, where no two do so surely.

    By order statistics: no shape of the distribution is assumed, and the interval is at least, not just, 95 %. From the
    k-th smallest to the k-th largest, k the largest with P(Binomial(n, 1/2) < k) <= 0.025.
    """
    rank = _rank(len(ordered))
    return Interval(ordered[rank - 1], ordered[-rank]) if rank else None


def _rank(count: int) -> int:
    if count > _EXACT_UP_TO:  # beyond it the sums are long, and the normal distribution says the same
        return (count - isqrt(4 * count)) // 2  # 1.96 taken as 2: wider, never narrower
    rank, below = 0, 0
    while (below := below + comb(count, rank)) <= _TAIL * 2**count:
        rank += 1
    return rank


def median(ordered: Sequence[float]) -> float | None:
    """The middle value, or the mean of the two; None of nothing."""
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def of_ratio(parts: Sequence[float], wholes: Sequence[float]) -> float | None:
    """Half of the width of the interval of sum(parts) / sum(wholes), by the spread between the pairs.

    The pairs (a school's cost and its hours) are the sample: linearised variance of a ratio, Student's t with one
    degree of freedom less than there are pairs. None of fewer than two pairs, or of nothing to divide by.
    """
    count, whole = len(parts), sum(wholes)
    if count < 2 or whole <= 0:  # noqa: PLR2004
        return None
    ratio = sum(parts) / whole
    rest = sum((part - ratio * each) ** 2 for part, each in zip(parts, wholes, strict=True))
    return student(count - 1) * sqrt(count / (count - 1) * rest) / whole


def outwards(found: Interval, digits: int = 0, *, step: float = 1.0, most: float | None = None) -> Interval:
    """An interval as it is shown, in steps of `step` / 10**`digits`: its ends rounded away from each other.

    So it holds all that the exact one holds, and it is never without width: where all values seen are the same (or differ
    by less than a step) it has one step on either side, as nothing is known better than that. It stays from 0 to `most`.
    """
    scale = 10**digits / step
    # A billionth of a step is no more than what floating point adds on the way.
    low, high = floor(round(found.lower * scale, 9)), ceil(round(found.upper * scale, 9))
    if low == high:
        low, high = low - 1, high + 1
    lower, upper = max(0.0, low / scale), high / scale
    return Interval(lower, upper if most is None else min(most, upper))


def student(freedom: int) -> float:
    """The 97.5th percentile of Student's t; past 30 degrees of freedom by Cornish and Fisher, to 0.00001."""
    if freedom < 1:
        raise ValueError("at least one degree of freedom")
    if freedom <= len(_T):
        return _T[freedom - 1]
    first = (_Z**3 + _Z) / 4
    second = (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96
    third = (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384
    return _Z + first / freedom + second / freedom**2 + third / freedom**3
