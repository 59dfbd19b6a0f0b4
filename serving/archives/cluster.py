"""`brandtox score --engine ray`: parts of Parquet files scored on all cores of a cluster, by Ray Data.

Rows go from the storage to a process that scores and back. Through the driver go numbers of parts, and
the messages of customers where there is a column of customers.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pyarrow as pa

from model.classifier import usable_cores
from model.labels import LABELS
from model.manifest import MANIFEST, RELEASED, Manifest, load_manifest, sha256
from model.thresholds import read_thresholds
from serving.archives import chunks
from serving.archives.meaning import Meaning, understand
from serving.archives.parquet import ParquetArchive
from serving.archives.pipeline import Reading
from serving.archives.preview import brief, preview
from serving.archives.progress import Progress
from serving.archives.row import ArchiveError, ReadOptions
from serving.archives.run import Wanted, common_schema, identify
from serving.settings import Settings

try:
    import ray
    import ray.data
    from ray.exceptions import RayError

    from serving.archives import parts
    from serving.archives.parts import Part, Work
    from serving.archives.remote import absolute, open_parquet
except ImportError as error:
    raise ArchiveError(f"--engine ray needs Ray: pip install 'brandtox[ray]' ({error})") from error

_OBJECT_STORE = 2**27
"""Bytes of a local cluster's shared memory; rows do not go through it."""

_CONNECT_SECONDS = 5.0
_COUNTED = ("rows", "errors", *LABELS)

Tell = Callable[[str], None]


def score_on_ray(
    inputs: Sequence[str],
    options: ReadOptions,
    settings: Settings,
    told: dict[str, Any],
    tell: Tell,
) -> int:
    """Do what the command's arguments ask for; how many rows are errors.

    Raises:
        ArchiveError: it cannot be done; says what to do.
    """
    if address := told["ray_address"]:
        _knock(address)
    archives = open_parquet(inputs)
    meanings = _understand(archives, options)
    readings = list(map(Reading, archives, meanings))
    if told["preview"]:
        click.echo(preview(readings))
        return 0
    tell(brief(readings))
    folder = settings.model or RELEASED
    manifest = load_manifest(folder)
    own = read_thresholds(settings.thresholds) if settings.thresholds else None
    if own is not None:
        manifest = own.applied(manifest)
    work = Work(
        archives=archives,
        meanings=meanings,
        schema=_schema(archives),
        output=absolute(told["output"]),
        model=settings.model and settings.model.absolute(),
        version=manifest.model,
        own_thresholds=own,
        most_characters=settings.max_text_characters,
        part_rows=chunks.ROWS,
    )
    wanted = Wanted(Path(), Path())  # the output's place and layout are no part of what a job is
    identity = identify(readings, options, wanted, settings, sha256(folder / MANIFEST))
    if (failed := work.finished(identity)) is not None:
        tell(f"{told['output']} is finished: this command wrote it before")
        return failed
    work.begin(identity, told["overwrite"], told["restart"])
    with _connected(address, settings.threads):
        with Progress(None if told["quiet"] else sys.stderr) as progress:
            _score(work, settings, manifest, progress)
        work.clear_output(identity)
        counts = _join(work)
    work.finish(identity, counts["errors"])
    labels = ", ".join(f"{counts[name]:,} {name}" for name in LABELS)
    tell(f"{counts['rows']:,} rows: {labels}, {counts['errors']:,} with an error")
    return counts["errors"]


def _understand(archives: Sequence[ParquetArchive], options: ReadOptions) -> list[Meaning]:
    """Files with the same columns are understood by the first of them."""
    kinds = {str(archive.schema): archive for archive in reversed(archives)}
    found = dict(zip(kinds, understand(list(kinds.values()), options), strict=True))
    return [found[str(archive.schema)] for archive in archives]


def _schema(archives: Sequence[ParquetArchive]) -> pa.Schema:
    schema = common_schema(archives)
    if schema is None:
        raise ArchiveError(
            "the files have columns of one name and different types: score those that agree in runs of"
            " their own, or use --engine local"
        )
    return schema


@contextmanager
def _connected(address: str | None, threads: int | None) -> Iterator[None]:
    """A cluster: the one at an address, or one of this machine's own cores that ends with it.

    Raises:
        ArchiveError: none answers there, or what is done on it fails.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        if address is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(
                address="local",
                num_cpus=threads or usable_cores(),
                object_store_memory=_OBJECT_STORE,
                include_dashboard=False,
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreachable(address, error) from error
    try:
        yield
    except RayError as error:
        raise _reason(error) from error
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Fail where nobody answers: Ray itself would wait for minutes."""
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname and place.port:
        try:
            socket.create_connection((place.hostname, place.port), _CONNECT_SECONDS).close()
        except OSError as error:
            raise _unreachable(address, error) from error


def _unreachable(address: str | None, error: Exception) -> ArchiveError:
    return ArchiveError(
        f"no Ray cluster at {address or 'this machine'} ({error}): check --ray-address, or leave it"
        " out to use this machine's cores"
    )


_TOLD = re.compile(rf"{ArchiveError.__module__}\.ArchiveError: (.+)")


def _reason(error: BaseException) -> ArchiveError:
    """What went wrong in a process of the cluster, by its first cause; of one that died while it began
    Ray tells the cause in words alone.
    """
    if told := _TOLD.search(str(error)):
        return ArchiveError(told[1])
    while (cause := getattr(error, "cause", None) or error.__cause__) is not None:
        error = cause
    if isinstance(error, ArchiveError):
        return error
    return ArchiveError(f"the cluster failed ({error}); the same command goes on from where it was")


class _Scorer:
    """A process with the model, on one core."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._classifier = parts.load_model(work)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        part = self._work.parts[row["number"]]
        return row | {"flagged": parts.score_part(self._work, part, self._classifier)}


def _score(work: Work, settings: Settings, manifest: Manifest, progress: Progress) -> None:
    """Score the parts that are not done, and write the customers' file meanwhile."""
    left = work.left()
    rows = progress.total = sum(part.rows for part in work.parts)
    progress.skip(rows - sum(part.rows for part in left))
    with closing(_scored(work, left, settings.threads)) as scored:
        done = _in_order(work.parts, left, scored, progress)
        if any("customer" in meaning.columns for meaning in work.meanings):
            parts.write_customers(work, done, settings, manifest)
        else:
            deque(done, maxlen=0)


def _scored(work: Work, left: Sequence[Part], threads: int | None) -> Generator[int]:
    """Score parts on the cluster; the number of flagged messages in each, in order."""
    if not left:
        return
    cores = threads or int(ray.cluster_resources().get("CPU", 1))
    scored = _over("number", [part.number for part in left]).map(
        _Scorer,
        fn_constructor_args=(work,),
        compute=ray.data.ActorPoolStrategy(size=min(cores, len(left))),
        num_cpus=1,
    )
    for batch in scored.iter_batches(batch_size=None, prefetch_batches=0):
        yield from batch["flagged"].tolist()


def _over(name: str, numbers: Sequence[int]) -> Any:
    """Numbers as a data set, each by itself."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    return ray.data.from_items([{name: n} for n in numbers], override_num_blocks=len(numbers))


def _in_order(
    every: Iterable[Part], left: Iterable[Part], scored: Iterator[int], progress: Progress
) -> Iterator[Part]:
    """All parts in order, each when it is done."""
    waiting = {part.number for part in left}
    for part in every:
        if part.number in waiting:
            progress.add(part.rows, next(scored))
        yield part


def _join(work: Work) -> Counter[str]:
    """Write the output of each input file; rows, errors and labels of all."""

    def join(row: dict[str, Any]) -> dict[str, int]:
        counts = parts.join_parts(work, row["file"])
        return {name: counts[name] for name in _COUNTED}

    total: Counter[str] = Counter()
    for counts in _over("file", range(len(work.archives))).map(join, num_cpus=1).take_all():
        total.update(counts)
    return total
