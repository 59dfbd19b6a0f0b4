"""From a verdict to what the store keeps of it for the index."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from model import Verdict
from model.manifest import BALANCED
from serving.index.matters import pack_vector

Thresholds = Mapping[str, Mapping[str, float]]

_GRAVE_KINDS = ("physical", "private_data")
_QUESTION = re.compile("[?؟]")
_SURELY = 0.5
"""A kind's own threshold finds all of it; what may cost a customer the relationship must be likely."""

_PIECE_OF_EVIDENCE = 0.2
"""The model is shy of `out_of_scope`, which one message seldom tells. The sign needs several, so that a
lower threshold than the model's own finds it without finding it everywhere."""

_THANKFUL = 0.6
_FEW_WORDS = 3
_ACKNOWLEDGEMENTS = frozenset(
    re.findall(
        r"\w+",
        """ok okay okey k thanks thank you thx ty noted great perfect fine done yes no got it well merci
        tamam tmam shokran shukran mashy 7ader اوك أوك اوكي تمام ماشي طيب شكرا شكراً مشكور مشكورين تسلم
        تسلمو حاضر خلاص نعم لا ايوه ايوا زين تم يعطيك العافية الله يعافيك حسنا حسناً ممتاز""",
    )
)

_ASKING = frozenset(
    re.findall(
        r"\w+",
        """متى امتى إمتى ايمتى وين فين أين اين كيف ازاي إزاي ليش ليه علاش لماذا كم بكام شو ايش إيش وش هل مين
        شحال واش وقتاش كيفاش شنو شكون ممكن يمكن بدي بدنا عايز عايزة عاوز عاوزة محتاج محتاجة ابغى ابغا أبغى ابي
        أبي نبي اريد أريد بغيت نحب ارجو أرجو نرجو رجاء الرجاء اطلب أطلب لازم ياريت
        when where why how what which who whose can could would will please pls need needs want wants
        may shall should help asking request emta fen feen fin leh leih ezay ezzay 3ayez 3ayz 3awez momken
        mumkin ayemta wen ween kif kifach 3lach wach w9tach chnou a7taj b8et bghit bedi baddi abi abgha 3aiz""",
    )
)
"""Words that ask or want, in the languages and dialects that the model reads."""


def verdict_row(seq: int, text: str, verdict: Verdict, thresholds: Thresholds) -> dict[str, Any]:
    """A row of the table `verdicts` for the message with number `seq`."""
    off_channel = thresholds.get("off_channel", {}).get(BALANCED, 0.5)
    grave = any(verdict.threat_kind[kind] >= _SURELY for kind in _GRAVE_KINDS)
    return {
        "seq": seq,
        "model": verdict.model,
        "verdict": json.dumps(verdict.as_dict(), ensure_ascii=False),
        "grave": "threat" in verdict.labels and grave,
        "off_channel": verdict.signs["off_channel"] >= off_channel,
        "out_of_scope": verdict.signs["out_of_scope"] >= _PIECE_OF_EVIDENCE,
        "thanks": needs_no_reply(text, verdict),
        "asks": asks(text),
        "vector": pack_vector(verdict.vector),
    }


def needs_no_reply(text: str, verdict: Verdict) -> bool:
    """A thank-you without a question, or a bare acknowledgement ("تمام", "ok").

    Only words of courtesy and a positive feeling decide; how negative a message is does not.
    """
    if verdict.labels or _QUESTION.search(text):
        return False
    words = re.findall(r"\w+", text.lower())
    if len(words) <= _FEW_WORDS and all(word in _ACKNOWLEDGEMENTS for word in words):
        return True
    return verdict.sentiment["positive"] >= _THANKFUL


def asks(text: str) -> bool:
    """Whether a message asks or wants something: a question mark, or a word that asks.

    When unsure it does not: a customer who does wait for an answer will write again.
    """
    if _QUESTION.search(text):
        return True
    return not _ASKING.isdisjoint(re.findall(r"\w+", text.lower()))
