"""The limiter: what it lets through, what it says in its headers, how much it remembers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.rates import Allowance, Rates
from app.core.errors import TooMany
from app.core.ids import new_id

TEN = Allowance("requests", 10, 60)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_whole_allowance_may_be_spent_at_once_and_no_more(clock: Clock) -> None:
    rates = Rates(TEN, clock=clock)
    assert [rates.spend("a").allowed for _ in range(12)] == [True] * 10 + [False] * 2


def test_a_refused_request_spends_nothing_and_retry_after_is_enough(clock: Clock) -> None:
    rates = Rates(TEN, clock=clock)
    for _ in range(10):
        rates.spend("a")
    refused = [rates.spend("a") for _ in range(50)][-1]
    clock.now += refused.retry_after - 1
    assert not rates.spend("a").allowed
    clock.now += 1
    assert rates.spend("a").allowed


def test_keys_do_not_share(clock: Clock) -> None:
    rates = Rates(TEN, clock=clock)
    client, other = new_id(), new_id()
    for _ in range(10):
        rates.take(client, None)
    assert rates.take(client, None)[1] is not None
    assert (
        rates.take(client, other)[1] is not None
    )  # a school of which nobody knows whether it is the client's
    rates.known(client, other)
    assert rates.take(client, other)[1] is None
    assert rates.take(other, None)[1] is None


def test_the_allowance_is_divided_by_the_number_of_processes(clock: Clock) -> None:
    rates = Rates(TEN, processes=4, clock=clock)
    assert sum(rates.spend("a").allowed for _ in range(10)) == 2


def test_the_headers_are_structured_fields_of_draft_11(clock: Clock) -> None:
    rates = Rates(TEN, clock=clock)
    assert rates.spend("a").headers() == {
        "RateLimit-Policy": '"requests";q=10;w=60',
        "RateLimit": '"requests";r=9;t=6',
    }
    for _ in range(9):
        rates.spend("a")
    refused = rates.spend("a").headers()
    assert refused["RateLimit"] == '"requests";r=0;t=6'
    assert refused["Retry-After"] == "6"


def test_a_refusal_can_be_raised_with_its_seconds(clock: Clock) -> None:
    rates = Rates(Allowance("one", 1, 60), clock=clock)
    rates.spend("a").insist()
    with pytest.raises(TooMany) as caught:
        rates.spend("a").insist()
    assert caught.value.code == "rate_limited"
    assert caught.value.extra["retry_after"] == 60


def test_memory_is_bounded_and_full_buckets_are_forgotten(clock: Clock) -> None:
    rates = Rates(TEN, most_keys=100, clock=clock)
    for number in range(1000):
        rates.spend(number)
    assert len(rates) == 100
    clock.now += 60
    rates.spend("later")
    assert len(rates) == 1


@given(steps=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 3)), max_size=60))
def test_over_any_stretch_no_more_passes_than_bucket_and_refill_allow(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    rates = Rates(TEN, clock=clock)
    start, spent = clock.now, 0
    for wait, cost in steps:
        clock.now += wait
        standing = rates.spend("a", cost)
        spent += cost if standing.allowed else 0
        assert spent <= 10 + (clock.now - start) / 6 + 1e-6
        assert 0 <= standing.remaining <= 10
        if not standing.allowed:
            assert standing.retry_after >= standing.reset >= 0


@pytest.mark.parametrize(("name", "quota", "window"), [('a"b', 1, 1), ("a", 0, 1), ("a", 1, 0)])
def test_an_allowance_that_cannot_be_written_down_is_refused(name: str, quota: int, window: int) -> None:
    with pytest.raises(ValueError, match="allowance"):
        Allowance(name, quota, window)
