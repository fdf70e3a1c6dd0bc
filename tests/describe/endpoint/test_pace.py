"""Pace, limits and stop rules against a simulated clock."""

import heapq
import random

import pytest

from gpt4image.describe.asking.cost import Prices
from gpt4image.describe.asking.reply import Reply
from gpt4image.describe.asking.stop_rules import LONGEST_SILENCE, MaxFailures, StopRules
from gpt4image.describe.asking.tally import Tally
from gpt4image.describe.endpoint.pacing import MinuteLimit, Pace
from gpt4image.describe.store.states import State
from gpt4image.errors import SettingsError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def simulate(pace: Pace, clock: Clock, capacity: int, requests: int, fails_beyond: int = 10**9) -> None:
    """A server that works on `capacity` requests at once, about one second each; the others queue."""
    chance = random.Random(0)
    running: list[float] = []
    free_at = [clock.now] * capacity
    for _ in range(requests):
        while pace.has_room:
            start = max(heapq.heappop(free_at), clock.now)
            end = start + chance.uniform(0.7, 1.3)
            heapq.heappush(free_at, end)
            heapq.heappush(running, end)
            pace.in_flight += 1
        overloaded = pace.in_flight > fails_beyond
        clock.now = max(heapq.heappop(running), clock.now) if running else clock.now + 0.1
        pace.in_flight -= 1
        pace.note_failure(0.0) if overloaded else pace.note_answer()


def test_the_pace_climbs_to_what_the_endpoint_bears_and_not_far_beyond() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    simulate(pace, clock, capacity=64, requests=4000)
    assert 60 <= pace.limit <= 130


def test_the_pace_falls_while_the_endpoint_refuses() -> None:
    clock = Clock()
    pace = Pace(fixed=200, clock=clock)
    simulate(pace, clock, capacity=500, requests=3000, fails_beyond=50)
    assert pace.limit <= 100


def test_a_few_failures_do_not_slow_down() -> None:
    clock = Clock()
    pace = Pace(fixed=32, clock=clock)
    for number in range(1000):
        pace.note_failure(5.0) if number % 12 == 0 else pace.note_answer()
    assert pace.limit == 32
    assert pace.has_room


def test_many_failures_pause_as_long_as_the_endpoint_asks() -> None:
    clock = Clock()
    pace = Pace(fixed=32, clock=clock)
    for _ in range(32):
        pace.note_failure(20.0)
    assert pace.limit == 22
    assert not pace.has_room
    clock.now += 20
    assert pace.has_room


def test_an_unreached_endpoint_is_left_alone_twice_as_long_each_time() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    pauses = []
    for _ in range(4):
        pace.note_unreached()
        pace.note_unreached()
        pauses.append(pace.paused_until - clock.now)
        clock.now = pace.paused_until
    assert pauses == [0.25, 0.5, 1.0, 2.0]
    pace.note_answer()
    assert pace.unreached == 0


def test_a_minute_limit_spreads_requests_evenly() -> None:
    clock = Clock()
    limit = MinuteLimit(60, clock)
    waits = [limit.reserve(1) for _ in range(5)]
    assert waits == [0, 0, 1, 2, 3]
    assert MinuteLimit(None, clock).reserve(1000) == 0
    limit.correct(10)
    assert limit.reserve(1) == 14


def tally_of(*states: State) -> Tally:
    tally = Tally(Prices(1.0, 10.0))
    for state in states:
        tally.note(Reply(state, tokens_in=1_000_000, tokens_out=100_000, seconds=2.0), is_redone=False)
    return tally


def test_prices_and_tally() -> None:
    tally = tally_of(State.OK, State.EMPTY)
    assert tally.usd == pytest.approx(2 * (1.0 + 1.0))
    assert (tally.finished, tally.failed) == (2, 1)
    assert tally.progress_note(3) == "1 failed, $4.00, 3 in flight"


def test_budget_counts_what_is_in_flight() -> None:
    rules = StopRules(tally_of(State.OK), (0, 0), budget_usd=10.0)
    assert rules.reason(in_flight=3) == ""
    assert "budget of $10" in rules.reason(in_flight=4)
    assert "budget" in StopRules(tally_of(), (8_000_000, 300_000), budget_usd=10.0).reason(0), (
        "guessed before the first"
    )


def test_deadline_leaves_time_for_one_more_answer() -> None:
    clock = Clock()
    rules = StopRules(tally_of(State.OK), (0, 0), deadline_s=10, clock=clock)
    clock.now += 7.9
    assert rules.reason(0) == ""
    clock.now += 0.2
    assert "deadline of 10 s" in rules.reason(0)


def test_failures_stop_by_share_by_number_and_by_silence() -> None:
    few, many = [State.OK] * 38 + [State.EMPTY] * 2, [State.OK] * 37 + [State.EMPTY] * 3
    share = MaxFailures.parse("5%")
    assert StopRules(tally_of(*few), (0, 0), max_failures=share).reason(0) == ""
    assert "3 of 40 descriptions failed, most as empty" in StopRules(
        tally_of(*many), (0, 0), max_failures=share
    ).reason(0)
    assert StopRules(tally_of(*many[-10:]), (0, 0), max_failures=share).reason(0) == "", "too few to judge"
    assert StopRules(tally_of(*many), (0, 0), max_failures=MaxFailures.parse("2")).reason(0)
    silent = tally_of(*[State.OK] * 100, *[State.ENDPOINT_ERROR] * LONGEST_SILENCE)
    assert "is the endpoint still running?" in StopRules(silent, (0, 0)).reason(0)
    for text in ("5 %x", "101%", "-1"):
        with pytest.raises(SettingsError, match="must be a share such as 5%"):
            MaxFailures.parse(text)
