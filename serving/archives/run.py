"""A whole run: archives in; the output, the customers and the report out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from model.manifest import Manifest
from model.thresholds import read_thresholds
from serving.archives.chunks import SCORES, Chunk, read_scored, to_table
from serving.archives.customer_lines import COLUMNS
from serving.archives.customers import Customers
from serving.archives.gathering import gather
from serving.archives.job import Identity, Job, Write, beside, work_folder
from serving.archives.output import plan, write_chunks, write_records
from serving.archives.pipeline import Judge, Reading, read_chunks, score_chunks
from serving.archives.progress import Progress
from serving.archives.ranking import rank
from serving.archives.report import Input, Report, render
from serving.archives.row import Archive, ArchiveError, Judged, ReadOptions, Source
from serving.archives.verdicts import Verdicts, key_of
from serving.index.settings import IndexSettings
from serving.index.words import Language
from serving.settings import Settings, flag_of

_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    list: pa.list_(pa.string()),
}
CUSTOMERS = pa.schema([(name, _ARROW[kind]) for name, kind in COLUMNS.items()])


Load = Callable[[list[Judged]], None]


class Model(Judge, Protocol):
    """What a run needs of a `model.Classifier`."""

    @property
    def manifest(self) -> Manifest: ...


@dataclass(frozen=True)
class Wanted:
    """What a run writes.

    Attributes:
        output: ends with .parquet, .csv or .jsonl; the customers' file has the same.
        scores: the file of verdicts.
        overwrite: an output that is there may be replaced.
        restart: what an unfinished run has done is given up.
        report: a page, in which texts and names are masked on request.
        into_store: the messages are loaded into the store, under this name of their source if any.
    """

    output: Path
    scores: Path
    overwrite: bool = False
    restart: bool = False
    report: Path | None = None
    report_language: Language = "en"
    masked: bool = False
    into_store: bool = False
    source_name: str | None = None

    @property
    def customers(self) -> Path:
        return beside(self.output, f"customers{self.output.suffix}")

    @property
    def files(self) -> list[Path]:
        return [self.output, self.customers, *([self.report] if self.report else [])]

    def writes(self, path: Path) -> bool:
        """Whether a file is one that the run writes, now or on the way."""
        place, work = path.resolve(), work_folder(self.output).resolve()
        return work in place.parents or any(
            place.name in (mine.name, f"{mine.name}.part", f"{mine.name}-wal")
            and place.parent == mine.resolve().parent
            for mine in (*self.files, self.scores)
        )


class Run:
    """Archives to score, and what to make of them.

    Args:
        readings: archives, and how to understand them.
        model: identifies the model.
    """

    def __init__(
        self,
        readings: Sequence[Reading],
        options: ReadOptions,
        wanted: Wanted,
        settings: Settings,
        model: str,
    ) -> None:
        self._readings = readings
        self._wanted = wanted
        self._settings = settings
        self._schema = common_schema([reading.archive for reading in readings])
        identity = identify(readings, options, wanted, settings, model)
        self.job = Job(wanted.output, identity, wanted.files)
        self._model = model

    def open_verdicts(self) -> Verdicts:
        return Verdicts(self._wanted.scores, self._model)

    def finished(self, verdicts: Verdicts) -> int | None:
        """How many rows were errors when this very run was made; None when it was not, or its files
        are not as it left them.
        """
        record = verdicts.finished(self._name)
        now = {"job": self.job.identity, "files": self._stamps()}
        if record is None or {name: record.get(name) for name in now} != now:
            return None
        if self.job.begun() == self.job.identity:
            self.job.give_up()
        return int(record["failed"])

    @property
    def _name(self) -> str:
        return str(self._wanted.output.resolve())

    def _stamps(self) -> list[list[Any]]:
        """Place, size and time of change of each file that is there."""
        files = [path.resolve() for path in self._wanted.files]
        return [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files if p.exists()]

    def begin(self, verdicts: Verdicts) -> None:
        """Begin the job, or go on with it; see `Job.begin`."""
        record = verdicts.finished(self._name)
        output = next((stamp for stamp in self._stamps() if stamp[0] == self._name), None)
        finished = record["job"] if record and output in record["files"] else None
        self.job.begin(self._wanted.overwrite, self._wanted.restart, finished)

    def score(self, model: Model, verdicts: Verdicts, progress: Progress) -> None:
        """Score the chunks that are not done.

        Of each chunk first the verdicts are kept, then the customers' messages, then the chunk: what a
        kill leaves of it is found when it is done again.

        Raises:
            ArchiveError: an archive cannot be read.
        """
        done = len(self.job.chunk_files())
        progress.count([reading.archive for reading in self._readings])
        with closing(self._customers(model.manifest)) as customers:
            for chunk, found in score_chunks(self._chunks(done, progress), model, verdicts):
                judged = list(chunk.judged(found))
                customers.add(judged)
                self.job.save(chunk.number, to_table(chunk, found, self._schema))
                flagged = sum(bool(one.verdict and one.verdict.labels) for one in judged)
                progress.add(len(chunk.entries), flagged)

    def _chunks(self, done: int, progress: Progress) -> Iterator[Chunk]:
        limit = self._settings.max_text_characters
        for chunk in read_chunks(self._readings, done, limit):
            if isinstance(chunk, int):
                progress.skip(chunk)
            else:
                yield chunk

    def _customers(self, manifest: Manifest) -> Customers:
        return Customers(self.job.folder / "customers.db", self._settings, manifest.thresholds)

    def finish(self, manifest: Manifest, verdicts: Verdicts, load: Load | None = None) -> Report:
        """Write all files from the chunks, and remove the work folder. After a kill it is done again
        as a whole, to the same bytes.

        Args:
            manifest: of the model that scored.
            verdicts: those that the chunks were scored with.
            load: takes the messages, too, a chunk at a time.

        Raises:
            ArchiveError: an input has changed since the run began.
        """
        self._check_inputs()
        with closing(self._customers(manifest)) as customers:
            report = self._report(manifest, customers)
            self.job.place(self._writers(customers, report))
        if load:
            self._load(load, verdicts)
        record = {"job": self.job.identity, "files": self._stamps()}
        verdicts.finish(self._name, record | {"failed": report.figures.failed})
        self.job.give_up()
        return report

    def _load(self, load: Load, verdicts: Verdicts) -> None:
        first = 1
        for file in self.job.chunk_files():
            rows = list(read_scored(file))
            keys = [key_of(row.message.text) if row.message else None for row in rows]
            wanted = {key for key in keys if key}
            found = verdicts.get(wanted)
            if len(found) < len(wanted):
                raise ArchiveError(
                    f"{self._wanted.scores} has lost scores of this run: repeat the command with"
                    " --restart"
                )
            load(
                [
                    Judged(number, row.source, row.message, found[key])
                    for number, (row, key) in enumerate(zip(rows, keys, strict=True), first)
                    if row.message and key
                ]
            )
            first += len(rows)

    def _check_inputs(self) -> None:
        for source in (reading.archive.source for reading in self._readings):
            if source.fingerprint() != self.job.identity[_input(source)]:
                raise ArchiveError(
                    f"{source.name} has changed while it was read: repeat the command with --restart"
                )

    def _writers(self, customers: Customers, report: Report) -> dict[Path, Write]:
        """How to write each file; the output, which tells that all is done, comes last."""
        wanted, suffix = self._wanted, self._wanted.output.suffix
        files = self.job.chunk_files()
        archives = [reading.archive for reading in self._readings]
        columns = dict.fromkeys(name for archive in archives for name in archive.columns or ())
        layout = plan(files, self._schema, list(columns), len(archives) > 1)

        def write_customers(part: Path) -> None:
            write_records(part, suffix, CUSTOMERS, customers.lines())

        def write_page(part: Path) -> None:
            page = render(report, wanted.report_language, wanted.masked)
            part.write_text(page, encoding="utf-8")

        page = {wanted.report: write_page} if wanted.report else {}
        return {
            wanted.customers: write_customers,
            **page,
            wanted.output: lambda part: write_chunks(part, suffix, files, layout),
        }

    def _report(self, manifest: Manifest, customers: Customers) -> Report:
        ranking = rank(customers.lines())
        rows = (row for file in self.job.chunk_files() for row in read_scored(file))
        figures = gather(rows, manifest.thresholds, ranking.evidence())
        inputs = [
            Input(archive.source.name, archive.format, {r: f.column for r, f in columns.items()})
            for archive, columns in ((r.archive, r.meaning.columns) for r in self._readings)
        ]
        return Report(inputs, figures, ranking, manifest, self._settings)


def common_schema(archives: Sequence[Archive]) -> pa.Schema | None:
    """The columns of all archives with their types, where all have types, and the same ones."""
    schemas = [archive.schema for archive in archives]
    if None in schemas:
        return None
    try:
        schema = pa.unify_schemas(schemas).remove_metadata()
    except pa.ArrowException:
        return None
    return pa.schema([field.with_nullable(True) for field in schema])


def identify(
    readings: Sequence[Reading],
    options: ReadOptions,
    wanted: Wanted,
    settings: Settings,
    model: str,
) -> Identity:
    """All that determines the files that a run writes."""
    sources = [reading.archive.source for reading in readings]
    told = asdict(options) | {
        "company": sorted(options.company),
        "incoming": sorted(options.incoming),
    }
    store = settings.database_url.get_secret_value() if wanted.into_store else None
    told |= {"into_store": store and key_of(store).hex(), "source_name": wanted.source_name}
    told["scores"] = str(wanted.scores.resolve())
    told["max_text_characters"] = settings.max_text_characters
    told["thresholds"] = settings.thresholds and read_thresholds(settings.thresholds).fingerprint
    told["report"] = wanted.report and [str(wanted.report), wanted.report_language, wanted.masked]
    del told["unpack_limit"]
    index = settings.model_dump(mode="json", include=set(IndexSettings.model_fields))
    return {
        "brandtox": version("brandtox"),
        "output columns": SCORES.names,
        "model": model,
        "inputs": [source.name for source in sources],
        **{_input(source): source.fingerprint() for source in sources},
        **{flag_of(name): value for name, value in (told | index).items()},
    }


def _input(source: Source) -> str:
    return f"input {source.name}"
