"""Which groups of a table of sums are held back, so that none follows from the others. Pure.

`rules.coverage.withheld` is the law for one level (a base of at least 10, never one alone). Coverage is shown at
several levels at once: schools, year groups and key stages, and each of them within the others. Here the same law is
kept over all of them together, and of two groups that would do, the one of less interest goes: a year of one school
before a year of the hub, and that before the total of a school.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from app.dashboards.linear import move
from app.rules.coverage import SMALLEST_BASE

Key = str


class Sums:
    """Groups with their bases, and the sums they take part in: a total and what adds up to it."""

    def __init__(self, bases: Mapping[Key, int], ranks: Mapping[Key, int]) -> None:
        """`ranks`: the lower, the sooner a group is given up to protect another."""
        self._bases = bases
        self._ranks = ranks
        self._same: dict[Key, Key] = {key: key for key in bases}

    def held(
        self, sums: Iterable[Iterable[Key]], also: Collection[Key] = (), never: Collection[Key] = ()
    ) -> frozenset[Key]:
        """The groups to hold back; each sum names its total and its parts.

        `also` are held back in any case; `never` cannot be given up: somebody else shows them, or they are told by
        what is shown.
        """
        sets = self._merged([frozenset(one) for one in sums])
        rank: defaultdict[Key, int] = defaultdict(int)
        for key in self._bases:
            rank[self._root(key)] = max(rank[self._root(key)], self._ranks[key])
        hidden = {key for key in rank if self._bases[key] < SMALLEST_BASE} | {self._root(key) for key in also}
        kept = {self._root(key) for key in never} - hidden
        of: defaultdict[Key, list[frozenset[Key]]] = defaultdict(list)
        for one in sets:
            for key in one:
                of[key].append(one)
        waiting = deque(one for key in hidden for one in of[key])
        while waiting:
            one = waiting.popleft()
            if self._safe(one & hidden) or one <= hidden | kept:
                continue
            given_up = min(one - hidden - kept, key=lambda key: (rank[key], self._bases[key], key))
            hidden.add(given_up)
            waiting.extend(of[given_up])
            waiting.append(one)
        return frozenset(key for key in self._bases if self._root(key) in hidden)

    def held_together(self, sums: Iterable[Iterable[Key]], also: Collection[Key] = ()) -> frozenset[Key]:
        """The same, and as many more as it takes that nothing small follows from several sums together."""
        sets = [frozenset(one) for one in sums]
        found = self.held(sets, also)
        while more := self._given_away(sets, found):
            found = self.held(sets, also=found | more)
        return found

    def _given_away(self, sets: Sequence[frozenset[Key]], held: frozenset[Key]) -> frozenset[Key]:
        """What goes for the sake of a small group that follows from all that is shown."""
        number = {root: at for at, root in enumerate(sorted({self._root(key) for key in held}))}
        moved = move((self._equation(one, number) for one in sets), len(number))
        following = {
            root for root, at in number.items() if self._bases[root] < SMALLEST_BASE and not moved[at]
        }
        going: set[Key] = set()
        for root in following:
            touched = [one for one in sets if root in map(self._root, one)]
            near = self._shown(touched, held) or self._shown([one for one in sets if one & held], held)
            if near:
                going.add(min(near, key=lambda key: (self._ranks[key], self._bases[key], key)))
        return frozenset(going)

    def _equation(self, one: frozenset[Key], number: Mapping[Key, int]) -> dict[int, int]:
        """A total less its parts, of which what is shown is known."""
        total = max(one, key=lambda key: (self._bases[key], key))
        found: dict[int, int] = defaultdict(int)
        for key in one:
            if (root := self._root(key)) in number:
                found[number[root]] += -1 if key == total else 1
        return {at: times for at, times in found.items() if times}

    def _shown(self, sets: Iterable[frozenset[Key]], held: frozenset[Key]) -> set[Key]:
        return {key for one in sets for key in one - held}

    def _safe(self, held: Iterable[Key]) -> bool:
        bases = [self._bases[key] for key in held]
        return not bases or (len(bases) > 1 and sum(bases) >= SMALLEST_BASE)

    def _merged(self, sets: Sequence[frozenset[Key]]) -> set[frozenset[Key]]:
        """A total with a single part is that part: both are shown or neither. Goes round until nothing changes."""
        while True:
            now = {frozenset(map(self._root, one)) for one in sets}
            pairs = [tuple(one) for one in now if len(one) == 2]  # noqa: PLR2004
            if not pairs:
                return {one for one in now if len(one) > 1}
            for left, right in pairs:
                self._same[self._root(left)] = self._root(right)
            sets = list(now)

    def _root(self, key: Key) -> Key:
        while self._same[key] != key:
            self._same[key] = self._same[self._same[key]]
            key = self._same[key]
        return key
