"""What is said of several rounds: medians of the ratios of loads that stand next to one another, met or missed."""

from bench.celery_pair import NAME
from bench.laps import Lap
from bench.load import Load
from bench.throughput import ACCEPT, OLDER, OURS, PREFER, RUN, Round, figures_of


def lap(rate: float, cpu_ms: float, worked_off_s: float = 2.0) -> Lap:
    load = Load(answered=round(rate), sent=round(rate), began=0, seconds=1, p50_ms=10, p99_ms=25)
    return Lap(
        load=load,
        tasks=load.answered,
        ended_meanwhile=0,
        worked_off_s=worked_off_s,
        cpu_ms=cpu_ms,
        apart_ms=0.5,
        switches=40,
    )


def one_round(rate: float, others_rate: float) -> Round:
    done = Round(ceiling=dict.fromkeys(PREFER, 1000.0))
    for kind in PREFER:
        done.laps[OURS, kind] = lap(rate, 3.0)
        done.laps[NAME, kind] = lap(others_rate, 6.0, worked_off_s=1.0)
        done.laps[OLDER, kind] = lap(others_rate, 4.0)
        done.many[kind] = lap(rate * 1.1, 3.0)
        done.greenlets[kind] = lap(rate * 1.5, 3.0)
    return done


def test_each_target_is_met_or_missed_by_the_median_of_a_round_s_own_ratios() -> None:
    # the medians of the rates, 320 and 200, would have it 1.6 times
    rounds = [one_round(100, 50), one_round(320, 400), one_round(600, 200)]
    found = {figure.name: figure for figure in figures_of(rounds, [NAME, OLDER])}
    for kind in (ACCEPT, RUN):
        beside = found[f"{kind}, to that of {NAME}"]
        assert (beside.value, beside.at_least, beside.met) == (2.0, 1.5, True)
        older = found[f"{kind}, processor time, to that of {OLDER}"]
        assert (older.value, older.at_most, older.met) == (0.75, 0.6, False)
        assert found[f"{kind}, to that of {OLDER}"].met is None
        assert found[f"{kind}, part of the ceiling"].met is True
        assert found[f"{kind} over 64 connections"].met is True
        assert "Redis 0.50 ms more" in found[f"{NAME}: {kind}, processor time"].note
    assert found["accept, until all are worked off"].value == 160
    assert found[f"accept, until all are worked off, to that of {NAME}"].value == 1.0
    assert (found["accept, p99 to p50"].value, found["accept, p99 to p50"].met) == (2.5, True)


def test_who_is_not_there_is_not_spoken_of() -> None:
    names = [figure.name for figure in figures_of([one_round(100, 50)], [])]
    assert not [name for name in names if NAME in name or OLDER in name]
