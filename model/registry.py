"""The models of a company: candidates beside the released one, and which of them is in use.

    models/<id>/         a candidate: a model folder, with gate.json and comparison.json
    models/active.json   every promotion, oldest first: the last one is in use

With no promotion the model that comes with brandtox is in use; it takes part under its own version.
Files appear under their names when they are whole and on the disk: a kill leaves the old or the new.
"""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.files import sync, write_whole
from model.manifest import RELEASED, load_manifest, read_manifest

ACTIVE = "active.json"
GATE = "gate.json"
COMPARISON = "comparison.json"
PASSED = "passed"
_LOCK = ".lock"
_CHOOSE = "`brandtox models list` tells which there are"


class RegistryError(ModelError):
    """The models folder cannot be read, or a promotion is refused; the message says what to do."""


@dataclass(frozen=True)
class Promotion:
    """One change of the model in use.

    Attributes:
        at: RFC 3339, UTC.
        forced: the candidate's gate had not passed it.
        previous: the model that was in use before.
        released: it is the model that comes with brandtox, in whatever version is installed.
        rollback: it takes back the promotion before.
    """

    model: str
    at: str
    by: str
    reason: str
    forced: bool
    previous: str
    released: bool = False
    rollback: bool = False


class Registry:
    """The models folder. Several processes may read and change it at once.

    Args:
        folder: it is made when the first candidate comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list(self) -> Sequence[Path]:
        """Model folders: the released one, then the candidates by their ids."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return [RELEASED, *sorted(path for path in found if _is_candidate(path))]

    def find(self, model: str) -> Path:
        """The folder of a model.

        Raises:
            RegistryError: there is none.
        """
        if model == _released_id():
            return RELEASED
        folder = self.folder / model
        if not model or Path(model).name != model or not _is_candidate(folder):
            raise RegistryError(f"there is no model {model!r} in {self.folder}: {_CHOOSE}")
        return folder

    def active(self) -> Path:
        """The folder of the model in use.

        Raises:
            RegistryError: active.json cannot be read, or the model is gone.
        """
        last = self._last()
        if last is None or last.released:
            return RELEASED
        try:
            return self.find(last.model)
        except RegistryError as error:
            hint = "promote another, or `brandtox models rollback`"
            raise RegistryError(f"{error}. It is the one in use: {hint}") from error

    def active_id(self) -> str:
        """The id of the model in use, whether or not its folder is there.

        Raises:
            RegistryError: active.json cannot be read.
        """
        last = self._last()
        return _released_id() if last is None or last.released else last.model

    def promotions(self) -> tuple[Promotion, ...]:
        """All of them, oldest first.

        Raises:
            RegistryError: active.json cannot be read.
        """
        path = self.folder / ACTIVE
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return tuple(Promotion(**one) for one in record["promotions"])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RegistryError(
                f"{path} cannot be read ({error!r}): mend it, or remove it to use the released model"
            ) from error

    def describe(self, folder: Path) -> dict[str, Any]:
        """What is told of a model: its id, whether it is in use, its manifest (None and `error` where
        it cannot be read), the verdict of its gate, and its promotions, oldest first.

        Raises:
            RegistryError: active.json cannot be read.
        """
        error, manifest = None, None
        try:
            manifest = read_manifest(folder)
        except ModelError as problem:
            error = str(problem)
        model = _released_id() if folder == RELEASED else folder.name
        return {
            "model": model,
            "active": self.active_id() == model,
            "manifest": manifest,
            "error": error,
            "gate": (gate_of(folder) or {}).get("verdict"),
            "promotions": [asdict(one) for one in self.promotions() if one.model == model],
        }

    def promote(self, model: str, by: str, reason: str = "", forced: bool = False) -> bool:
        """Use a model from now on; False if it is in use already.

        Raises:
            ModelError: there is no such model, or its files are damaged.
            RegistryError: its gate did not pass it, or not beside the model that is in use now, and it
                is not forced, or without a reason.
        """
        with self._changes():
            if self.active_id() == model:
                return False
            folder = self._checked(model)
            refusal = None if folder == RELEASED else refusal_of(folder, self.active_id())
            if refusal and not forced:
                raise RegistryError(f"{model} is not promoted: {refusal}")
            if refusal and not reason.strip():
                raise RegistryError(f"{model} is promoted only for a reason: {refusal}")
            self._append(model, by, reason, forced=refusal is not None)
            return True

    def rollback(self, by: str, reason: str = "") -> str:
        """Use the model from before the last promotion that was not taken back; its id.

        Raises:
            RegistryError: nothing is left to take back.
            ModelError: that model is gone or damaged.
        """
        with self._changes():
            standing = _standing(self.promotions())
            if not standing:
                raise RegistryError("no promotion is left to take back")
            before = standing[-2] if len(standing) > 1 else None
            model = _released_id() if before is None or before.released else before.model
            self._checked(model)
            self._append(model, by, reason, rollback=True)
            return model

    def add(self, folder: Path) -> Path:
        """Move a finished candidate in, under its id: all of it or nothing.

        Raises:
            ModelError: its files are damaged.
            RegistryError: its id is taken, or cannot be the name of a folder.
        """
        model = load_manifest(folder).model
        target = self.folder / model
        if target.name != model or model.startswith("."):
            raise RegistryError(f"{model!r} cannot be the name of a folder: give another")
        with self._changes():
            if model == _released_id() or target.exists():
                raise RegistryError(f"there is a model {model!r} already: give another name")
            _sync_tree(folder)
            try:
                folder.rename(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy_in(folder, target)
            sync(self.folder)
        return target

    def _copy_in(self, folder: Path, target: Path) -> None:
        """From another file system."""
        part = self.folder / f".{target.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(folder, part)
        _sync_tree(part)
        part.rename(target)
        shutil.rmtree(folder)

    def _last(self) -> Promotion | None:
        return (self.promotions() or (None,))[-1]

    def _checked(self, model: str) -> Path:
        """The folder of a model whose files are whole."""
        folder = self.find(model)
        if (said := load_manifest(folder).model) != model:
            raise RegistryError(f"{folder} holds the model {said!r}: name the folder so")
        return folder

    def _append(
        self, model: str, by: str, reason: str, forced: bool = False, rollback: bool = False
    ) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        last = Promotion(
            model=model,
            at=at,
            by=by,
            reason=reason.strip(),
            forced=forced,
            previous=self.active_id(),
            released=model == _released_id(),
            rollback=rollback,
        )
        record = {"promotions": [asdict(one) for one in (*self.promotions(), last)]}
        said = json.dumps(record, indent=1, ensure_ascii=False)
        write_whole(self.folder / ACTIVE, said + "\n")

    @contextmanager
    def _changes(self) -> Iterator[None]:
        """One process at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def gate_of(folder: Path) -> dict[str, Any] | None:
    """What the gate said of a candidate; None where it was never asked, or its file is damaged."""
    return _record(folder / GATE)


def comparison_of(folder: Path) -> dict[str, Any] | None:
    """A candidate beside the released model; None where they were not compared."""
    return _record(folder / COMPARISON)


def refusal_of(folder: Path, active: str) -> str | None:
    """Why a candidate may not take the place of the model `active`; None when its gate passed it."""
    gate = gate_of(folder)
    if gate is None:
        why = f"no gate has looked at it ({GATE} is missing or damaged)"
    elif gate.get("verdict") != PASSED:
        failed = [_told(check) for check in gate.get("checks", []) if not check.get("passed")]
        why = f"its gate refused it ({'; '.join(failed) or 'nothing is better than before'})"
    elif (before := gate.get("released", active)) != active:
        why = f"its gate compared it with {before}, and {active} is in use now: retrain"
    else:
        return None
    return f"{why}; --force with a --reason overrides that"


def _told(check: dict[str, Any]) -> str:
    name, told = check.get("name", "a check"), check.get("told") or check.get("why")
    return f"{name}: {told}" if told else str(name)


def _record(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _is_candidate(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_dir()


def _released_id() -> str:
    return read_manifest(RELEASED).model


def _standing(promotions: Sequence[Promotion]) -> Sequence[Promotion]:
    """Those that were not taken back, oldest first."""
    standing: list[Promotion] = []
    for one in promotions:
        if not one.rollback:
            standing.append(one)
        elif standing:
            standing.pop()
    return standing


def _sync_tree(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync(path)
