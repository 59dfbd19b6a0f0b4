"""Parts of a large archive of Parquet files, scored anywhere, each into a file of the work folder.

    OUT/                    a Parquet file for each input file, in order; _brandtox.json tells of what
    OUT.customers.parquet   every customer, where there is a column of them
    OUT.work/job.json       until the end: what the job is
    OUT.work/parts/         a file for each scored part

A part is done when its file is there; it can be scored again, to the same file.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from model import Classifier
from model.manifest import Manifest
from model.thresholds import OwnThresholds
from serving.archives import remote
from serving.archives.chunks import Chunk, read_scored, to_table
from serving.archives.customers import Customers
from serving.archives.job import Identity, different, unfinished
from serving.archives.meaning import Meaning
from serving.archives.output import Layout, plan, to_output, write_parquet, write_records
from serving.archives.parquet import ParquetArchive
from serving.archives.pipeline import Reading, read_chunks
from serving.archives.row import ArchiveError, Judged
from serving.archives.run import CUSTOMERS
from serving.archives.verdicts import pack, unpack
from serving.index.settings import IndexSettings


@dataclass(frozen=True)
class Part:
    """Rows of one file that are scored together.

    Attributes:
        number: of the part, from 0, over all files.
        file: number of the file, from 0.
        first: the first of the rows, from 0 in the file.
    """

    number: int
    file: int
    first: int
    rows: int


@dataclass(frozen=True)
class Work:
    """All that is to score, and where it goes; the same on every machine.

    Attributes:
        archives: the files.
        meanings: one an archive.
        schema: of the archives, together.
        output: URL or absolute path of the folder of outputs.
        model: folder of the model, on every machine; None for the released one.
        version: of the model.
        own_thresholds: the company's; None where it has none.
        most_characters: of a message; a longer one is an error of its row.
        part_rows: rows of a part.
    """

    archives: list[ParquetArchive]
    meanings: list[Meaning]
    schema: pa.Schema
    output: str
    model: Path | None
    version: str
    own_thresholds: OwnThresholds | None
    most_characters: int
    part_rows: int

    @cached_property
    def parts(self) -> list[Part]:
        starts = (
            (file, first, archive.num_rows)
            for file, archive in enumerate(self.archives)
            for first in range(0, archive.num_rows, self.part_rows)
        )
        return [
            Part(number, file, first, min(self.part_rows, rows - first))
            for number, (file, first, rows) in enumerate(starts)
        ]

    @property
    def layout(self) -> Layout:
        return plan([], self.schema, [], len(self.archives) > 1)

    @property
    def folder(self) -> str:
        return f"{self.output}.work"

    @property
    def customers(self) -> str:
        return f"{self.output.removesuffix('.parquet')}.customers.parquet"

    def path(self, part: Part) -> str:
        return f"{self.folder}/parts/{part.number:08}.parquet"

    def output_path(self, file: int) -> str:
        return f"{self.output}/{file:05}-{PurePosixPath(self.archives[file].source.name).name}"

    def finished(self, identity: Identity) -> int | None:
        """How many rows were errors when this very job was done; None when it was not."""
        mark = remote.read_json(self._mark)
        if mark is None or mark.get("job") != identity or remote.read_json(self._job) is not None:
            return None
        failed: int | None = mark.get("failed")
        return failed

    def begin(self, identity: Identity, overwrite: bool, restart: bool) -> None:
        """Begin the job, or go on with it.

        Raises:
            ArchiveError: the work folder holds another job, or the output is there.
        """
        begun = remote.read_json(self._job)
        if begun is not None and not restart:
            if differences := different(begun, identity):
                raise unfinished(self.folder, differences)
            return
        if remote.exists(self.output) and not overwrite:
            raise ArchiveError(f"{self.output} exists: give another --output, or --overwrite")
        self._check_replaceable()
        self.give_up()
        remote.write_json(self._job, identity)

    @property
    def _job(self) -> str:
        return f"{self.folder}/job.json"

    @property
    def _mark(self) -> str:
        return f"{self.output}/_brandtox.json"

    def _check_replaceable(self) -> None:
        if remote.exists(self.output) and remote.read_json(self._mark) is None:
            raise ArchiveError(
                f"{self.output} was not written by --engine ray, and is not replaced: give another"
                " --output"
            )

    def give_up(self) -> None:
        """There is no job any more: first its description goes."""
        remote.remove(self._job)
        remote.remove(self.folder)

    def left(self) -> list[Part]:
        """The parts that are not done."""
        done = remote.names_in(f"{self.folder}/parts")
        return [part for part in self.parts if PurePosixPath(self.path(part)).name not in done]

    def clear_output(self, identity: Identity) -> None:
        """Make room for the output.

        Raises:
            ArchiveError: there is something else.
        """
        self._check_replaceable()
        remote.remove(self.output)
        remote.write_json(self._mark, {"job": identity})

    def finish(self, identity: Identity, failed: int) -> None:
        """The output is whole; so many of its rows are errors."""
        remote.write_json(self._mark, {"job": identity, "failed": failed})
        self.give_up()


def load_model(work: Work) -> Classifier:
    """The model, on one thread.

    Raises:
        ModelError: it is not here.
        ArchiveError: it is another one.
    """
    classifier = Classifier.load(work.model, 1, work.own_thresholds)
    if classifier.version != work.version:
        raise ArchiveError(
            f"a machine of the cluster has the model {classifier.version}, this one {work.version}:"
            " install the same version of brandtox on all"
        )
    return classifier


def score_part(work: Work, part: Part, classifier: Classifier) -> int:
    """Score a part into its file; how many messages have a label."""
    archive = work.archives[part.file].slice(part.first, part.rows)
    reading = Reading(archive, work.meanings[part.file])
    found = read_chunks([reading], 0, work.most_characters)
    tables = [_score(chunk, classifier, work.schema) for chunk in found if isinstance(chunk, Chunk)]
    with remote.writing(work.path(part)) as stream:
        pq.write_table(table := pa.concat_tables(tables), stream, compression="zstd")
    return sum(bool(labels) for labels in table["labels"].to_pylist())


def _score(chunk: Chunk, classifier: Classifier, schema: pa.Schema) -> pa.Table:
    """A scored chunk with its whole verdicts, as JSON and vector."""
    found = zip(chunk.texts, map(pack, classifier.score(list(chunk.texts.values()))), strict=True)
    packed = dict(found)
    verdicts = {key: unpack(*one) for key, one in packed.items()}
    rows = [packed[key] if key else (None, None) for key in chunk.keys]
    table = to_table(chunk, verdicts, schema)
    table = table.append_column("verdict", pa.array([json for json, _ in rows], pa.string()))
    return table.append_column("vector", pa.array([vector for _, vector in rows], pa.binary()))


def join_parts(work: Work, file: int) -> Counter[str]:
    """Write the output of an input file from its parts; rows, errors and labels in it."""
    counts: Counter[str] = Counter(rows=work.archives[file].num_rows)

    def tables() -> Iterator[pa.Table]:
        for part in (part for part in work.parts if part.file == file):
            table = to_output(pq.read_table(_content(work, part)), work.layout)
            counts["errors"] += table.num_rows - table["error"].null_count
            counts.update(label for labels in table["labels"].to_pylist() for label in labels or ())
            yield table

    with remote.writing(work.output_path(file)) as stream:
        write_parquet(stream, work.layout.schema, tables())
    return counts


def _content(work: Work, part: Part) -> pa.BufferReader:
    return pa.BufferReader(remote.read_bytes(work.path(part)))


def write_customers(
    work: Work, parts: Iterable[Part], settings: IndexSettings, manifest: Manifest
) -> None:
    """Write the customers' file from the parts, in order, as they become done."""
    with tempfile.TemporaryDirectory(prefix="brandtox-") as folder:
        path = Path(folder, "customers.db")
        with closing(Customers(path, settings, manifest.thresholds)) as customers:
            first_row = 1
            for part in parts:
                customers.add(_judged(work, part, first_row))
                first_row += part.rows
            write_records(local := Path(folder, "lines"), ".parquet", CUSTOMERS, customers.lines())
            with local.open("rb") as lines, remote.writing(work.customers) as stream:
                shutil.copyfileobj(lines, stream)


def _judged(work: Work, part: Part, first_row: int) -> list[Judged]:
    content = _content(work, part)
    rows = read_scored(content)
    verdicts = pq.read_table(content, columns=["verdict", "vector"])
    packed = zip(verdicts["verdict"].to_pylist(), verdicts["vector"].to_pylist(), strict=True)
    return [
        Judged(number, row.source, row.message, unpack(*verdict))
        for number, (row, verdict) in enumerate(zip(rows, packed, strict=True), first_row)
        if row.message
    ]
