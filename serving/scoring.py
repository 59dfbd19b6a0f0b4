"""From a message and its verdict to what the store keeps of them for the index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from model import Verdict
from model.manifest import BALANCED
from model.preparation import prepare
from serving.index.matters import pack_vector
from serving.index.phrases import asks, closes, takes_back

Thresholds = Mapping[str, Mapping[str, float]]

_THANKFUL = 0.6
_INSULTS = {"abuse", "threat"}


def balanced(thresholds: Thresholds, output: str) -> float:
    """The threshold at which an output holds; one half where the model names none."""
    return thresholds.get(output, {}).get(BALANCED, 0.5)


def verdict_row(seq: int, text: str, verdict: Verdict, thresholds: Thresholds) -> dict[str, Any]:
    """A row of the table `verdicts` for the message with number `seq`."""
    prepared = prepare(text).text

    def shows(sign: str) -> bool:
        return verdict.signs[sign] >= balanced(thresholds, sign)

    return {
        "seq": seq,
        "model": verdict.model,
        "verdict": json.dumps(verdict.as_dict(), ensure_ascii=False),
        "off_channel": shows("off_channel"),
        "out_of_scope": shows("out_of_scope"),
        "thanks": needs_no_reply(prepared, verdict),
        "asks": asks(prepared),
        "takes_back": _INSULTS.isdisjoint(verdict.labels) and takes_back(prepared),
        "vector": pack_vector(verdict.vector),
    }


def needs_no_reply(prepared: str, verdict: Verdict) -> bool:
    """A thank-you without a question, or a closing in a few words ("تمام", "ok, works now").

    Only words of courtesy and a positive feeling decide; how negative a message is does not.
    """
    if verdict.labels or "?" in prepared or "؟" in prepared:
        return False
    return closes(prepared) or verdict.sentiment["positive"] >= _THANKFUL
