"""Adapters for the public corpora: what each tells under our guideline, and how far it is trusted.

A corpus is one Parquet file `<name>.parquet` in the corpora folder, with the columns text, lang,
dialect, split, abuse, threat, accusation (1, 0 or null where the corpus does not tell) and
sentiment. Texts stay there: nothing is copied into the project. Absent corpora are named and skipped.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, disable_progress_bars
from model.labels import SIGNS
from training.rows import Row

log = logging.getLogger(__name__)
disable_progress_bars()

RELABELLED = "customers_relabelled"
COMPANY_CORPORA = frozenset({"arabic_company_reviews", "us_airline_tweets", "complaints_twitter"})
_DIALECTS = {
    "egyptian": "egy",
    "saudi": "gulf",
    "kuwaiti": "gulf",
    "gulf": "gulf",
    "levantine": "lev",
    "jordanian": "lev",
    "moroccan": "magh",
    "tunisian": "magh",
    "algerian": "magh",
    "maghrebi": "magh",
    "iraqi": "iraqi",
    "msa": "msa",
}


@dataclass(frozen=True)
class Corpus:
    """How one corpus is used.

    Attributes:
        rows: at most so many rows an epoch, drawn anew each epoch.
        weight: of each row's loss; below 1 where its positive class is wider than our guideline's.
        licence: as far as it is known.
        permissive: the licence is clearly MIT, Apache-2.0, CC BY or CC0.
        has_threat: its threat column follows our guideline closely enough to train on.
    """

    rows: int
    weight: float
    licence: str
    permissive: bool = False
    has_threat: bool = True


_UNKNOWN = "not stated"
CORPORA: dict[str, Corpus] = {
    RELABELLED: Corpus(20_000, 1.0, "labels of this project; texts as their corpora"),
    # Arabic, offensive language
    "osact4_offenseval2020_ar": Corpus(6_897, 0.8, "not stated (a loader lists CC BY 4.0)"),
    "osact2022_ar": Corpus(6_000, 0.7, _UNKNOWN),
    "lhsab": Corpus(3_500, 0.5, _UNKNOWN),
    "thsab": Corpus(3_000, 0.5, _UNKNOWN),
    "mpold": Corpus(3_995, 0.7, "Apache-2.0", permissive=True),
    "omcd": Corpus(4_000, 0.5, _UNKNOWN),
    "darija_offensive_20k": Corpus(5_000, 0.25, "GPL-3.0 (mirror)"),
    "letmi": Corpus(3_500, 0.5, _UNKNOWN, has_threat=False),
    "mlma_ar": Corpus(1_500, 0.3, "MIT", permissive=True),
    "egyptian_5way_hate": Corpus(3_500, 0.5, "MIT (mirror)"),
    "sohateful_ar": Corpus(6_000, 0.6, "MIT (mirror)"),
    "alakrot_youtube": Corpus(4_000, 0.5, "GPL-3.0 (mirror)"),
    "mubarak2017_twitter": Corpus(793, 0.5, _UNKNOWN),
    "mubarak2017_aljazeera": Corpus(2_000, 0.2, _UNKNOWN),
    "saudi_hate_alhazmi": Corpus(2_500, 0.2, "GPL-3.0 (mirror)"),
    "aref_sunni_shia_hate": Corpus(1_000, 0.3, "GPL-3.0 (mirror)"),
    # Arabic and Arabizi, sentiment
    "arabic_company_reviews": Corpus(9_000, 0.6, "CC0 (unverified)"),
    "elsahar_reviews_ar": Corpus(1_500, 0.3, _UNKNOWN),
    "arsarcasm_v2": Corpus(3_000, 0.5, "MIT", permissive=True),
    "astd": Corpus(1_500, 0.3, "GPL-2.0"),
    "ajgt": Corpus(1_000, 0.3, "AFL-3.0"),
    "tsac_tunisian": Corpus(4_000, 0.5, "LGPL-3.0"),
    "tunizi": Corpus(2_000, 0.5, _UNKNOWN),
    "narabizi_sentiment": Corpus(974, 0.5, _UNKNOWN),
    # English, offensive language
    "olid": Corpus(5_000, 0.5, _UNKNOWN),
    "davidson": Corpus(1_500, 0.2, "MIT", permissive=True),
    "convabuse": Corpus(1_467, 0.8, "CC BY 4.0", permissive=True),
    "mlma_en": Corpus(500, 0.2, "MIT", permissive=True),
    "hateval_en": Corpus(1_500, 0.3, _UNKNOWN),
    "hasoc2019_en": Corpus(1_500, 0.3, _UNKNOWN),
    "trac1_en": Corpus(1_500, 0.3, _UNKNOWN),
    "waseem_hovy": Corpus(1_000, 0.3, _UNKNOWN),
    "stormfront_hate": Corpus(1_190, 0.5, "CC BY-SA 3.0"),
    "hatexplain_train": Corpus(4_000, 0.4, "MIT", permissive=True),
    "surge_toxicity": Corpus(998, 0.7, "MIT", permissive=True),
    "youtoxic_1000": Corpus(989, 0.6, _UNKNOWN),
    "jigsaw_toxic_en_sample": Corpus(7_000, 0.6, "labels CC0, comments CC BY-SA 3.0"),
    # English, sentiment
    "us_airline_tweets": Corpus(4_000, 0.6, "GPL-3.0 (mirror)"),
    "complaints_twitter": Corpus(1_200, 0.5, _UNKNOWN),
    "goemotions": Corpus(2_000, 0.2, "CC BY 4.0 (unverified)"),
    "tweeteval_sentiment_en": Corpus(2_000, 0.3, _UNKNOWN),
    "stanford_politeness": Corpus(0, 0.0, "CC BY 4.0 (unverified)"),
}


def load_corpora(folder: Path | None, permissive_only: bool = False) -> list[Row]:
    """All rows of the corpora found in `folder`, with the labels that each tells (some tell none).

    Raises:
        FileNotFoundError: `folder` is given and does not exist.
    """
    if folder is None:
        log.warning("no corpora folder: training on datasets/ alone (see BRANDTOX_CORPORA)")
        return []
    if not folder.is_dir():
        raise FileNotFoundError(f"corpora folder {folder} does not exist")
    names = [n for n, c in CORPORA.items() if c.rows and (c.permissive or not permissive_only)]
    absent = [name for name in names if not (folder / f"{name}.parquet").is_file()]
    if absent:
        log.warning("corpora not found in %s, skipped: %s", folder, ", ".join(absent))
    return [
        row
        for name in names
        if name not in absent
        for row in _read(name, folder / f"{name}.parquet")
    ]


def _read(name: str, path: Path) -> Iterator[Row]:
    corpus = CORPORA[name]
    for number, record in enumerate(Dataset.from_parquet(str(path))):
        origin = record.get("source") or name
        yield Row(
            text=record["text"],
            labels=_labels(record, corpus),
            sentiment=_sentiment(record, name, origin),
            language=record["lang"],
            dialect=_DIALECTS.get(record.get("dialect") or ""),
            source=name,
            origin=origin,
            split=record.get("split") or "train",
            weight=corpus.weight * (0.5 if record.get("unsure") else 1.0),
            id=f"{name}:{number}",
        )


def _sentiment(record: dict[str, Any], name: str, origin: str) -> str | None:
    """None too for relabelled comments: their readers hardly agreed on it (kappa 0.63)."""
    if name == RELABELLED and origin not in COMPANY_CORPORA:
        return None
    return record["sentiment"] if isinstance(record["sentiment"], str) else None


def _labels(record: dict[str, Any], corpus: Corpus) -> dict[str, int]:
    names = ["abuse", "accusation", *SIGNS] + ["threat"] * corpus.has_threat
    values = {name: record.get(name) for name in names}
    labels = {n: int(v) for n, v in values.items() if v is not None and not math.isnan(v)}
    if labels.get("threat") == 0:
        labels |= dict.fromkeys(("physical", "private_data", "job", "reputation"), 0)
    return labels
