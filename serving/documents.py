"""Write the documents that follow from the code: `python -m serving.documents [FOLDER]`.

docs/openapi.json and docs/settings.md are committed; a test fails when they are out of date. No model
is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from model import Verdict
from serving.app import create_app
from serving.settings import GROUPS, Settings, default_of, flag_of, variable_of

_SETTINGS_HEAD = """# Settings

Every setting of `brandtox serve` is a flag, an environment variable, or its default: the first of
these that is given counts. `brandtox classify` has `--model`, `--models`, `--thresholds`, `--threads`
and `--max-text-characters`. A wrong value stops the command with a usage error (exit code 2). These
tables are written by `make docs` from `serving/settings.py`.
"""

_TABLE_HEAD = """
## {heading}

| flag | variable | default | what it does |
|---|---|---|---|
"""


class _NoModel:
    """Stands in for a model: the documents say what the API is like, not what a model says."""

    version = "none"

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        raise NotImplementedError


def openapi_document() -> str:
    document = create_app(Settings(), _NoModel()).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def settings_document() -> str:
    tables = (
        _TABLE_HEAD.format(heading=heading) + "".join(_settings_rows(group))
        for heading, group in GROUPS.items()
    )
    return _SETTINGS_HEAD + "".join(tables)


def _settings_rows(group: type[BaseModel]) -> Iterator[str]:
    for name, field in group.model_fields.items():
        shown = default_of(field)
        default = "" if shown is None else f"`{shown}`"
        cells = f"`{flag_of(name)}`", f"`{variable_of(name)}`", default, field.description
        yield f"| {' | '.join(map(str, cells))} |\n"


DOCUMENTS: dict[str, Callable[[], str]] = {
    "openapi.json": openapi_document,
    "settings.md": settings_document,
}


def main(folder: Path) -> None:
    """Write all documents into the folder."""
    for name, write in DOCUMENTS.items():
        (folder / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
