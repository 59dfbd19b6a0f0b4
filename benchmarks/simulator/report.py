"""From readings to figures, and from figures to docs/simulator.md.

Shares come with 95 % Wilson intervals; "met" compares the measured share with the target, the
interval says how sure that is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import median
from typing import Any

from benchmarks.simulator.play import Played, Reading
from benchmarks.simulator.story import WEEKS, History
from benchmarks.simulator.texts import language
from benchmarks.simulator.truth import ARCHETYPES, SIGNS

QUADRANTS = ARCHETYPES
_TOXIC = frozenset({"draining", "inflamed"})
_WITHIN_WEEKS = 6
_Z = 1.959964

Json = dict[str, Any]


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    share, weight = hits / count, _Z * _Z / count
    middle = (share + weight / 2) / (1 + weight)
    half = _Z * sqrt(share * (1 - share) / count + weight / count / 4) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(outcomes: Iterable[bool]) -> Json:
    found = list(outcomes)
    hits = sum(found)
    value = round(hits / len(found), 4) if found else None
    interval = [round(bound, 4) for bound in wilson(hits, len(found))]
    return {"share": value, "interval": interval, "hits": hits, "count": len(found)}


def figures(played: Played, groups: Played) -> Json:
    """Everything that the report says."""
    languages = sorted({language(history.voice) for history, _ in played})
    return {
        "all": _of(played),
        "languages": {
            name: _of([pair for pair in played if language(pair[0].voice) == name])
            for name in languages
        },
        "confusion": _confusion(played),
        "kinds": _kinds(played),
        "weeks_to_recognition": _recognition_weeks(played),
        "index_at_end": _index_at_end(played),
        "signs_at_end": {sign: _sign(played, sign) for sign in SIGNS},
        "dialects": dialect_differences(groups),
    }


def _of(played: Played) -> Json:
    hurt = [pair for pair in played if pair[0].truth.archetype == "hurt"]
    draining = [pair for pair in played if pair[0].truth.archetype == "draining"]
    decided = [pair for pair in played if not pair[0].truth.is_close_call(_last(pair).at)]
    warranted = [pair for pair in decided if pair[0].truth.warrants_separation(_last(pair).at)]
    others = [pair for pair in decided if not pair[0].truth.warrants_separation(_last(pair).at)]
    return {
        "quadrant_right": share(_last(p).quadrant == p[0].truth.archetype for p in played),
        "recognised_within_6_weeks": share(_recognised_in_time(p) for p in draining),
        "draining_before_its_start": share(_toxic_too_early(p) for p in draining),
        "hurt_ever_draining": share(any(_calls(p, "draining")) for p in hurt),
        "hurt_draining_at_end": share(_last(p).quadrant == "draining" for p in hurt),
        "hurt_ever_separation": share(any(r.prepare_separation for r in p[1]) for p in hurt),
        "calm_ever_toxic": share(
            any(r.quadrant in _TOXIC for r in p[1])
            for p in played
            if p[0].truth.archetype == "calm"
        ),
        "separation_right": share(
            _last(p).prepare_separation == p[0].truth.warrants_separation(_last(p).at)
            for p in decided
        ),
        "separation_found": share(_last(p).prepare_separation for p in warranted),
        "separation_wrong": share(_last(p).prepare_separation for p in others),
        "close_calls_left_out": len(played) - len(decided),
    }


def _last(pair: tuple[History, Sequence[Reading]]) -> Reading:
    return pair[1][-1]


def _calls(pair: tuple[History, Sequence[Reading]], quadrant: str) -> Iterable[bool]:
    return (reading.quadrant == quadrant for reading in pair[1])


def weeks_until_recognised(history: History, readings: Sequence[Reading]) -> int | None:
    """Weeks from the start of an archetype to the first toxic quadrant; None: never."""
    begins = history.truth.begins
    for reading in readings:
        if begins is not None and reading.at > begins and reading.quadrant in _TOXIC:
            return (reading.at - begins).days // 7
    return None


def _recognised_in_time(pair: tuple[History, Sequence[Reading]]) -> bool:
    weeks = weeks_until_recognised(*pair)
    return weeks is not None and weeks <= _WITHIN_WEEKS


def _toxic_too_early(pair: tuple[History, Sequence[Reading]]) -> bool:
    begins = pair[0].truth.begins
    return any(begins and r.at <= begins and r.quadrant in _TOXIC for r in pair[1])


def _confusion(played: Played) -> Json:
    counts = Counter((p[0].truth.archetype, _last(p).quadrant) for p in played)
    return {kind: {name: counts[kind, name] for name in QUADRANTS} for kind in ARCHETYPES}


def _kinds(played: Played) -> Json:
    """Of each kind within an archetype: the quadrants at the end."""
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for history, readings in played:
        rows[f"{history.truth.archetype}: {history.truth.kind}"][readings[-1].quadrant] += 1
    return {name: dict(rows[name]) for name in sorted(rows)}


def _recognition_weeks(played: Played) -> Json:
    """How many draining customers were recognised in which week after their start."""
    weeks = Counter(
        weeks_until_recognised(*pair) for pair in played if pair[0].truth.archetype == "draining"
    )
    known = {str(week): weeks[week] for week in range(1, WEEKS) if weeks[week]}
    return known | ({"never": weeks[None]} if weeks[None] else {})


def _index_at_end(played: Played) -> Json:
    """Median, lowest and highest index and pain at the end."""
    rows: Json = {}
    for kind in ARCHETYPES:
        last = [_last(pair) for pair in played if pair[0].truth.archetype == kind]
        values = {"index": [r.index for r in last], "pain": [r.pain for r in last]}
        rows[kind] = {
            name: [round(figure, 1) for figure in (min(got), median(got), max(got))]
            for name, got in values.items()
            if got
        }
    return rows


def _sign(played: Played, sign: str) -> Json:
    intended = [p for p in played if sign in p[0].truth.standing(_last(p).at)]
    others = [p for p in played if sign not in p[0].truth.evidence]
    return {
        "intended": share(sign in _last(p).signs for p in intended),
        "not_intended": share(sign in _last(p).signs for p in others),
    }


def dialect_differences(groups: Played) -> Json:
    """Per group of five: the largest difference of index in any week, and at the end."""
    by_group: defaultdict[str, list[Sequence[Reading]]] = defaultdict(list)
    for history, readings in groups:
        by_group[str(history.group)].append(readings)
    rows = {}
    for name, five in by_group.items():
        weekly: defaultdict[int, list[Reading]] = defaultdict(list)
        for reading in (reading for readings in five for reading in readings):
            weekly[reading.week].append(reading)
        spreads = {week: _spread(found) for week, found in weekly.items()}
        rows[name] = {
            "largest": round(max(spreads.values()), 2),
            "at_end": round(spreads[max(spreads)], 2),
            "weeks_with_two_quadrants": sum(
                len({reading.quadrant for reading in found}) > 1 for found in weekly.values()
            ),
        }
    return {
        "groups": rows,
        "largest": max((row["largest"] for row in rows.values()), default=None),
        "largest_at_end": max((row["at_end"] for row in rows.values()), default=None),
    }


def _spread(readings: Sequence[Reading]) -> float:
    indices = [reading.index for reading in readings]
    return max(indices) - min(indices)


# What is measured, which figure it is, its target, and whether more is better.
_TARGETS: tuple[tuple[str, str, float | None, bool], ...] = (
    ("quadrant at the end is right", "quadrant_right", 0.80, True),
    (
        "draining customers called draining or inflamed within 6 weeks of their start",
        "recognised_within_6_weeks",
        0.90,
        True,
    ),
    ("draining customers called so before their start", "draining_before_its_start", None, False),
    ("hurt customers ever called draining", "hurt_ever_draining", 0.02, False),
    ("hurt customers called draining at the end", "hurt_draining_at_end", 0.02, False),
    ("hurt customers with `prepare_separation` ever", "hurt_ever_separation", 0.0, False),
    ("calm customers ever called draining or inflamed", "calm_ever_toxic", None, False),
    ("`prepare_separation` right at the end", "separation_right", 0.85, True),
    ("`prepare_separation` where a separation is warranted", "separation_found", 0.75, True),
    ("`prepare_separation` where it is not warranted", "separation_wrong", None, False),
)
_DIALECT_TARGET = 3.0


def to_markdown(result: Json) -> str:
    return "\n".join(
        [
            "# The simulator",
            "",
            f"{result['customers']} customers over {WEEKS} weeks, {result['messages']:,} messages, seed"
            f" {result['seed']}, model `{result['model']}`. Written by `python -m"
            " benchmarks.simulator.run`; do not edit. The behaviour is drawn from small random"
            " processes and the texts were written for it: what is met here need not be met by real"
            " customers. Shares with 95 % Wilson intervals.",
            "",
            *_target_table(result),
            "",
            "## Quadrants at the end",
            "",
            *_table(
                ["archetype", *QUADRANTS],
                [[kind, *row.values()] for kind, row in result["confusion"].items()],
            ),
            "",
            *_table(
                ["kind", *QUADRANTS],
                [
                    [kind, *(row.get(name, 0) for name in QUADRANTS)]
                    for kind, row in result["kinds"].items()
                ],
            ),
            "",
            "Index and pain at the end: lowest, median, highest.",
            "",
            *_table(
                ["archetype", "index", "pain"],
                [
                    [kind, *(" / ".join(map(str, row.get(what, []))) for what in ("index", "pain"))]
                    for kind, row in result["index_at_end"].items()
                ],
            ),
            "",
            "## Weeks until a draining customer is recognised",
            "",
            *_table(
                ["weeks", "customers"],
                [[week, count] for week, count in result["weeks_to_recognition"].items()],
            ),
            "",
            "## Signs at the end",
            "",
            "Active where the behaviour is played and stands, and where it is never played.",
            "",
            *_table(
                ["sign", "played", "not played"],
                [
                    [sign, _cell(row["intended"]), _cell(row["not_intended"])]
                    for sign, row in result["signs_at_end"].items()
                ],
            ),
            "",
            "## By language",
            "",
            *_language_table(result["languages"]),
            "",
            "## Five dialects",
            "",
            "The same behaviour with parallel texts in Egyptian, Gulf, Levantine, Maghrebi and Modern"
            " Standard Arabic: the largest difference of the index between any two of the five.",
            "",
            *_table(
                ["history", "in any week", "at the end", "weeks with two quadrants"],
                [[name, *row.values()] for name, row in result["dialects"]["groups"].items()],
            ),
            "",
        ]
    )


def _target_table(result: Json) -> list[str]:
    rows: list[list[Any]] = []
    for label, name, target, more in _TARGETS:
        got = result["all"][name]
        rows.append([label, _limit(target, more), _cell(got), _met(got["share"], target, more)])
    largest = result["dialects"]["largest"]
    label = "largest difference of index between dialects, any week"
    limit = f"at most {_DIALECT_TARGET:g} points"
    rows.append([label, limit, largest, _met(largest, _DIALECT_TARGET, False)])
    left_out = result["all"]["close_calls_left_out"]
    return [
        *_table(["what", "target", "measured", ""], rows),
        "",
        f"Left out of the last three shares: {left_out} draining customers whose signs had stood"
        " together for 6 weeks give or take a fortnight.",
    ]


def _language_table(languages: Json) -> list[str]:
    names = list(languages)
    rows = [
        [label, *(_cell(languages[name][figure]) for name in names)]
        for label, figure, _, _ in _TARGETS
    ]
    return _table(["", *names], rows)


def _limit(target: float | None, more: bool) -> str:
    if target is None:
        return ""
    return f"{'at least' if more else 'at most'} {100 * target:g} %"


def _met(value: float | None, target: float | None, more: bool) -> str:
    if value is None or target is None:
        return ""
    return "met" if (value >= target if more else value <= target) else "not met"


def _cell(got: Json) -> str:
    if got["share"] is None:
        return "none"
    low, high = (f"{100 * bound:.1f}" for bound in got["interval"])
    return f"{100 * got['share']:.1f} % ({low} to {high}; {got['hits']} of {got['count']})"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]
