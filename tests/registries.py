"""Candidates of the tests' tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.registry import GATE, Registry
from tests.helpers import changed_folder


def add_candidate(
    registry: Registry, model: Path, place: Path, name: str, passed: bool = True, **changes: Any
) -> Path:
    """Make a candidate at `place`, and move it in."""
    made = changed_folder(model, place / f"made-{name}", model=name, **changes)
    verdict = "passed" if passed else "refused"
    failed = [{"name": "abuse_f1", "passed": False, "why": "0.70 is below 0.74"}]
    gate = {"verdict": verdict, "checks": [] if passed else failed, "better": []}
    (made / GATE).write_text(json.dumps(gate), encoding="utf-8")
    return registry.add(made)
