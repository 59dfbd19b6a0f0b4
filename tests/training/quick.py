"""`brandtox retrain` where a small model is the released one and training is quick.

As a program: `python -m tests.training.quick MODEL retrain …`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from serving.cli import main
from training.retrain import RECIPES


def patches(model: Path, **fit: Any) -> dict[str, Any]:
    """What to set, by its name; `fit` are settings of the fit. A random network's int8 graph differs."""
    settings = replace(RECIPES["full"].fit, rate=2e-3, epochs=6, max_rows=16, **fit)
    recipes = {name: replace(recipe, replay=80, fit=settings) for name, recipe in RECIPES.items()}
    return {
        "model.registry.RELEASED": model,
        "training.export._MOST_FLIPPED": 1.0,
        "training.export._MOST_DIFFERENCE": 1.0,
        "training.retrain_cli.RECIPES": recipes,
    }


if __name__ == "__main__":
    import training.retrain_cli  # noqa: F401 (so that its names can be set)

    for name, value in patches(Path(sys.argv[1]), checkpoint_seconds=0.2).items():
        patch(name, value).start()
    main(sys.argv[2:])
