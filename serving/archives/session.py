"""`brandtox score`: from what the user asked for to a run, and what is told of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from model import ModelError
from model.manifest import MANIFEST, RELEASED, Manifest, load_manifest, sha256
from model.thresholds import read_thresholds
from serving.archives.formats import open_archives
from serving.archives.job import beside
from serving.archives.meaning import understand
from serving.archives.pipeline import Reading
from serving.archives.preview import brief, preview
from serving.archives.progress import Progress
from serving.archives.row import ArchiveError, Judged, ReadOptions
from serving.archives.run import Load, Run, Wanted
from serving.archives.sources import find_sources
from serving.archives.store import Loaded, StoreLoader
from serving.archives.summary import summary
from serving.live import load_classifier, with_active_model
from serving.settings import Settings
from serving.store.database import Database, StoreError
from serving.times import wire_time

_DIGITS = 12
_FADED = 60 * 86_400
"""Seconds after which what happened weighs little in a customer's reading."""
_LOCAL_ONLY = ("--report", "--into-store", "--scores", "--encoding", "--delimiter", "--company")
_GOES_ON = "the same command goes on from where it was"

Tell = Callable[[str], None]


def score_archives(inputs: Sequence[str], settings: Settings, told: dict[str, Any]) -> int:
    """Do what the command's arguments ask for; how many rows are errors.

    Raises:
        ClickException: it cannot be done; says what to do.
    """
    with _explained():
        settings = with_active_model(settings)
        tell = _silence if told["quiet"] else _tell
        options = _options(settings, told)
        if told["engine"] == "ray":
            _check_ray_options(told)
            from serving.archives.cluster import score_on_ray

            return score_on_ray(inputs, options, settings, told, tell)
        wanted = _wanted(told)
        readings = _read(inputs, options, wanted, tell)
        if wanted is None or told["preview"]:
            click.echo(preview(readings))
            return 0
        tell(brief(readings))
        return _run(readings, options, wanted, settings, told, tell)


def _check_ray_options(told: dict[str, Any]) -> None:
    for option in _LOCAL_ONLY:
        if told[option.strip("-").replace("-", "_")]:
            raise ArchiveError(f"{option} is of --engine local alone: leave it out")


def _run(
    readings: Sequence[Reading],
    options: ReadOptions,
    wanted: Wanted,
    settings: Settings,
    told: dict[str, Any],
    tell: Tell,
) -> int:
    folder = settings.model or RELEASED
    manifest = load_manifest(folder)
    model = f"{manifest.model} {sha256(folder / MANIFEST)[:_DIGITS]}"
    own = read_thresholds(settings.thresholds) if settings.thresholds else None
    if own is not None and own.model == manifest.model:
        manifest, model = own.applied(manifest), f"{model} {own.fingerprint}"
    run = Run(readings, options, wanted, settings, model)
    with run.job.lock(), closing(run.open_verdicts()) as verdicts:
        if (failed := run.finished(verdicts)) is not None:
            tell(f"{wanted.output} is finished: this command wrote it before")
            return failed
        if wanted.into_store:
            _open_store(settings).close()  # what is wrong with it should be told before, not after
        run.begin(verdicts)
        classifier = load_classifier(settings.model, settings.threads, settings.thresholds)
        with (
            Progress(None if told["quiet"] else sys.stderr) as progress,
            _stoppable(progress, readings),
        ):
            run.score(classifier, verdicts, progress)
        with _loader(wanted, settings, manifest, tell) as load:
            report = run.finish(manifest, verdicts, load)
    tell(summary(report))
    return report.figures.failed


def _open_store(settings: Settings) -> Database:
    database = Database(settings.database_url.get_secret_value())
    database.migrate()
    return database


@contextmanager
def _loader(
    wanted: Wanted, settings: Settings, manifest: Manifest, tell: Tell
) -> Iterator[Load | None]:
    """What loads messages into the store, if that is wanted."""
    if not wanted.into_store:
        yield None
        return
    with closing(_open_store(settings)) as database:
        loader = StoreLoader(
            database,
            manifest.thresholds,
            wanted.source_name,
            settings.store_text,
            settings.future_seconds,
        )
        newest = 0.0

        def load(judged: Sequence[Judged]) -> None:
            nonlocal newest
            loader.load(judged)
            newest = max([newest, *(one.message.at or 0.0 for one in judged)])

        yield load
        tell(_told_of(loader.loaded, newest))


def _told_of(loaded: Loaded, newest: float) -> str:
    known = f"{loaded.duplicates:,} known already"
    conflicts = f"{loaded.conflicts:,} known with another text (kept as it was)"
    lines = [f"Store: {loaded.new:,} messages new, {known}, {conflicts}"]
    lines += [f"  {count:,} not stored: {why}" for why, count in loaded.refused.most_common()]
    if 0 < newest < time.time() - _FADED:
        lines.append(
            f"  ! The last message is of {wire_time(newest)}. The service reads customers as of now, when"
            " old events have faded: ask it for ?as_of=DATE."
        )
    return "\n".join(lines)


def _wanted(told: dict[str, Any]) -> Wanted | None:
    output: Path | None = told["output"]
    if output is None:
        return None
    wanted = Wanted(
        output=output,
        scores=told["scores"] or beside(output, "scores"),
        overwrite=told["overwrite"],
        restart=told["restart"],
        report=told["report"],
        report_language=told["report_language"],
        masked=told["mask"],
        into_store=told["into_store"],
        source_name=told["source_name"],
    )
    files = [path.resolve() for path in (*wanted.files, wanted.scores)]
    if len(set(files)) < len(files):
        names = ", ".join(path.name for path in files)
        raise ArchiveError(f"the files to write must have different names, not {names}")
    return wanted


def _options(settings: Settings, told: dict[str, Any]) -> ReadOptions:
    return ReadOptions(
        format=told["format_"],
        encoding=told["encoding"],
        delimiter=told["delimiter"],
        company=frozenset(told["company"]),
        incoming=frozenset(told["incoming"]),
        date_order=told["date_order"],
        timezone=told["timezone"] or settings.default_timezone or "UTC",
        unpack_limit=told["unpack_limit"],
        columns=told["columns"],
    )


def _read(
    inputs: Sequence[str], options: ReadOptions, wanted: Wanted | None, tell: Tell
) -> list[Reading]:
    """The archives; the files that the run writes are none, in whatever folder they lie."""
    if wanted is not None:
        _check_inputs(inputs, wanted)
    sources = find_sources(inputs, options.unpack_limit, tell)
    sources = [source for source in sources if source.path.suffix != ".scores"]
    if wanted is not None:
        sources = [source for source in sources if not wanted.writes(source.path)]
    if not sources:
        raise ArchiveError(
            "there is nothing to read but what this command writes: name other files"
        )
    archives = open_archives(sources, options, tell)
    readings = list(map(Reading, archives, understand(archives, options)))
    _check_used(options, readings)
    return readings


def _check_used(options: ReadOptions, readings: Sequence[Reading]) -> None:
    """No option is told that would do nothing."""
    formats = {reading.archive.format for reading in readings}
    if options.company and "whatsapp" not in formats:
        raise ArchiveError("--company is for WhatsApp chats, and there is none: leave it out")
    if options.delimiter and not formats & {"csv", "tsv"}:
        raise ArchiveError("--delimiter is for CSV, and there is none: leave it out")
    if options.encoding and formats <= {"parquet", "excel"}:
        raise ArchiveError("--encoding is for text files, and there is none: leave it out")
    if options.incoming and not any("direction" in r.meaning.columns for r in readings):
        raise ArchiveError(
            "--incoming is of a column of directions, and none has such a value: correct it, or name"
            " the column (--column direction=NAME)"
        )


def _check_inputs(inputs: Sequence[str], wanted: Wanted) -> None:
    for name in inputs:
        if Path(name).is_file() and wanted.writes(Path(name)):
            raise ArchiveError(
                f"{name} is read, and would be written: give what is written another name"
            )
    if wanted.into_store and "-" in inputs and not wanted.source_name:
        raise ArchiveError("--into-store of standard input needs --source-name: where is it from?")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (ArchiveError, ModelError) as error:
        raise click.ClickException(str(error)) from error
    except (StoreError, SQLAlchemyError) as error:
        raise click.ClickException(f"--database-url: {error}; {_GOES_ON}") from error
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"{error}; once that is mended, {_GOES_ON}") from error


@contextmanager
def _stoppable(progress: Progress, readings: Sequence[Reading]) -> Iterator[None]:
    """Ctrl-C ends at once: no step need be waited for, since any can be done again."""

    def stop(_: int, __: FrameType | None) -> None:
        progress.close()
        for source in (reading.archive.source for reading in readings):
            if source.name == "-":  # kept on disk until the end, which does not come
                source.path.unlink(missing_ok=True)
        click.echo(f"stopped; {_GOES_ON}", err=True)
        os._exit(130)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _silence(_: str) -> None:
    pass
