"""Six simulated months through the service, and how well it recognised the customers.

    python -m benchmarks.simulator.run                  a service of its own, 200 customers
    python -m benchmarks.simulator.run --url URL        a running one, empty and without keys

Writes docs/simulator.md and docs/simulator.json; with `--readings FILE` also every weekly reading.
The texts go through the released model; the texts and behaviours were written without knowing the
index's settings. It does not measure speed, other databases, or customers unlike the simulated ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.simulator.histories import SEED, dialect_groups, portfolio
from benchmarks.simulator.play import (
    Played,
    Service,
    own_service,
    play,
    read_weekly,
    wait_until_scored,
)
from benchmarks.simulator.report import Json, figures, to_markdown
from benchmarks.simulator.story import History


def simulate(url: str, customers: int, seed: int) -> tuple[Json, Played]:
    service = Service(url)
    people, groups = portfolio(customers, seed), dialect_groups(seed)
    everybody = [*people, *groups]
    _say(f"playing {sum(len(h.messages) for h in everybody):,} messages of {len(everybody)}")
    messages = play(service, everybody)
    _say("waiting for the scorer")
    wait_until_scored(service, everybody)
    _say("reading every customer at the end of every week")
    played = [(history, read_weekly(service, history)) for history in everybody]
    result = {
        "seed": seed,
        "customers": len(people),
        "customers_in_dialect_groups": len(groups),
        "messages": messages,
        "model": _model(service),
        **figures(played[: len(people)], played[len(people) :]),
    }
    return result, played


def _model(service: Service) -> str:
    answer = service.call("POST", "/classify", {"text": "hello"}) or {}
    return str(answer.get("model"))


def _say(line: str) -> None:
    print(line, flush=True)


def reading_lines(played: Played) -> Iterator[str]:
    """One JSON line per customer and week, for a closer look."""
    for history, readings in played:
        for reading in readings:
            yield json.dumps(_known(history, reading.week) | asdict(reading)) + "\n"


def _known(history: History, week: int) -> Json:
    truth = history.truth
    begins = truth.begins.isoformat() if truth.begins else None
    return {
        "customer_id": history.customer_id,
        "archetype": truth.archetype,
        "kind": truth.kind,
        "voice": history.voice,
        "begins": begins,
        "week": week,
    }


@contextmanager
def _service_at(url: str | None) -> Iterator[str]:
    if url:
        yield url
    else:
        with own_service() as own:
            yield own


def main() -> None:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("python -m benchmarks.simulator.run", description=summary)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--url", help="a running service; by default one is started")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the report")
    parser.add_argument("--readings", type=Path, help="also write every reading here")
    options = parser.parse_args()
    with _service_at(options.url) as url:
        result, played = simulate(url, options.customers, options.seed)
    report = to_markdown(result)
    lines = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    options.out.joinpath("simulator.json").write_text(lines, encoding="utf-8")
    options.out.joinpath("simulator.md").write_text(report, encoding="utf-8")
    if options.readings:
        options.readings.write_text("".join(reading_lines(played)), encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
