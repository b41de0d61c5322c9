"""What an answer means: fates and pauses as a table, and Retry-After in both its forms."""

from datetime import UTC, datetime

import pytest

from app.webhooks.schedule import HOUR, NORMAL, SAFETY, seconds_asked, verdict

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def judged(status, *, schedule=NORMAL, attempts=1, age=1.0, chance=0.0, **more):
    return verdict(schedule, attempts, age, status, chance=lambda: chance, **more)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_delivered(status):
    assert judged(status).fate == "delivered"


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 410, 500, 503, None])
def test_whatever_is_not_a_2xx_is_tried_again(status):
    assert judged(status).fate == "retry"


@pytest.mark.parametrize(
    ("status", "slow"), [(429, True), (502, True), (504, True), (500, False), (404, False)]
)
def test_overload_slows_down_and_other_failures_do_not(status, slow):
    assert (judged(status).slow is not None) is slow


def test_a_time_out_slows_down_as_an_overload_does():
    assert judged(None, silent=True).slow == 0.0
    assert judged(None).slow is None


def test_410_asks_to_be_switched_off():
    assert judged(410).gone
    assert not judged(404).gone


def test_the_tenth_failure_is_the_last():
    assert judged(500, attempts=9).fate == "retry"
    assert judged(500, attempts=10).fate == "failed"


def test_jitter_adds_at_most_a_tenth_and_never_shortens():
    assert [round(judged(500, attempts=2, chance=x).delay) for x in (0.0, 0.5, 1.0)] == [300, 315, 330]


def test_retry_after_lengthens_and_never_shortens_a_pause_and_is_bounded():
    assert judged(503, retry_after=60.0).delay == 60.0
    assert judged(503, attempts=3, retry_after=60.0).delay == 1800.0
    assert judged(503, retry_after=9e9).delay == 24 * HOUR
    assert judged(503, schedule=SAFETY, retry_after=9e9).delay == 120.0


def test_the_safety_lane_goes_on_through_a_school_day_and_gives_up_after_three_days():
    assert judged(500, schedule=SAFETY, attempts=50, age=9 * HOUR).delay == 120.0
    assert judged(500, schedule=SAFETY, attempts=400, age=11 * HOUR).delay == 1800.0
    assert judged(500, schedule=SAFETY, attempts=900, age=73 * HOUR).fate == "failed"


def test_a_receiver_that_hangs_does_not_stretch_the_pauses_of_the_safety_lane():
    assert judged(None, schedule=SAFETY, attempts=3, took=4.0).delay == 11.0
    assert judged(None, schedule=SAFETY, attempts=1, took=10.0).delay == 0.0
    assert judged(None, schedule=SAFETY, attempts=9, took=10.0).delay == 110.0
    assert judged(429, schedule=SAFETY, attempts=1, took=10.0, retry_after=7.0).delay == 7.0
    assert judged(None, attempts=1, took=20.0).delay == 5.0, "the normal lane lets it breathe"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0), ("120", 120.0), (" 7 ", 7.0), ("Sun, 22 Nov 2026 09:02:00 GMT", 120.0),
        ("Sun, 22 Nov 2026 08:00:00 GMT", 0.0), ("soon", None), ("-5", None), ("1.5", None), ("", None), (None, None),
        ("\u0661", None), ("9" * 400, 999_999_999.0),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999999999", None), (f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert seconds_asked(header, NOW) == seconds
