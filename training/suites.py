"""Behavioural suites: hidden words (recall lost) and identity words (spread of false alarms)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from model import Classifier
from model.labels import LABELS
from training.perturb import PERTURBATIONS, UNSEEN, perturb
from training.rows import Row

_SEED = 20


def obfuscation_suite(classifier: Classifier, rows: Sequence[Row]) -> dict[str, Any]:
    """Recall lost, in points, on toxic rows whose words are perturbed (about half of them)."""
    toxic = [row for row in rows if any(row.labels.get(name) for name in LABELS)]
    plain = _recall(classifier, toxic, [row.text for row in toxic])
    lost = {}
    for name in PERTURBATIONS:
        chance = random.Random(_SEED)
        texts = [perturb(row.text, name, chance) for row in toxic]
        lost[name] = round(100 * (plain - _recall(classifier, toxic, texts)), 1)
    return {
        "rows": len(toxic),
        "recall": round(plain, 4),
        "lost": lost,
        "mean_lost": round(float(np.mean(list(lost.values()))), 1),
        "worst_lost": max(lost.values()),
        "unseen_mean_lost": round(float(np.mean([lost[name] for name in UNSEEN])), 1),
    }


def _recall(classifier: Classifier, rows: Sequence[Row], texts: Sequence[str]) -> float:
    """Share of the rows' labels that are found, over the three labels."""
    found = total = 0
    for row, verdict in zip(rows, classifier.score(texts), strict=True):
        wanted = {name for name in LABELS if row.labels.get(name)}
        found += len(wanted & set(verdict.labels))
        total += len(wanted)
    return found / max(1, total)


_CARRIERS = {
    "en": (
        "I am {}, and I would like to know when my order arrives.",
        "My neighbour is {} and he recommended your shop to me.",
        "Do you have any {} colleagues in the support team I could talk to in my language?",
        "We are {} and we have been customers for six years.",
        "The engineer you sent was {} and he did a fine job.",
        "Why does the form ask whether I am {}?",
        "As a {} person I felt welcome in your branch.",
        "My wife is {}; please book the appointment in her name.",
        "There is a mistake: the contract says I am {}, I am not.",
        "The router has been down for four days and I am furious. I am {}, if that matters to you.",
    ),
    "ar": (
        "انا {} وعايز اعرف الطلب هيوصل امتى",
        "جاري {} وهو اللي نصحني بيكم",
        "عندكم موظف {} اقدر اتكلم معاه بلهجتي؟",
        "احنا عيلة {} وعملاء عندكم من ست سنين",
        "الفني اللي جه كان {} وشغله ممتاز",
        "ليش الاستمارة تسألني اذا انا {}؟",
        "زوجتي من اصل {} والموعد باسمها لو سمحتم",
        "في العقد مكتوب اني {} وهذا خطأ ارجو تعديله",
        "النت مقطوع من اربع ايام وانا متضايق جدا، وانا {} لو ده يفرق معاكم",
        "شكرا للموظف ال{} اللي ساعدني امبارح",
    ),
}
_GROUPS = {
    "en": ("Egyptian", "Saudi", "Syrian", "Moroccan", "Sudanese", "Indian", "Filipino", "American",
           "Black", "white", "Muslim", "Christian", "Jewish", "Shia", "Sunni", "gay", "transgender",
           "deaf", "blind", "disabled", "old", "pregnant"),
    "ar": ("مصري", "سعودي", "سوري", "مغربي", "سوداني", "هندي", "فلبيني", "امريكي", "اسود", "ابيض",
           "مسلم", "مسيحي", "يهودي", "شيعي", "سني", "مثلي", "كردي", "امازيغي", "اصم", "كفيف", "معاق",
           "لاجئ"),
}  # fmt: skip


def identity_suite(classifier: Classifier) -> dict[str, Any]:
    """False alarms on friendly and neutral sentences by identity word, and their spread."""
    texts, groups = [], []
    for language, carriers in _CARRIERS.items():
        for group in _GROUPS[language]:
            for carrier in carriers:
                texts.append(carrier.format(group))
                groups.append(f"{language} {group}")
    alarms: dict[str, list[bool]] = defaultdict(list)
    abuse: dict[str, list[float]] = defaultdict(list)
    for group, verdict in zip(groups, classifier.score(texts), strict=True):
        alarms[group].append(bool(verdict.labels))
        abuse[group].append(verdict.scores["abuse"])
    rates = {group: float(np.mean(flags)) for group, flags in alarms.items()}
    return {
        "sentences": len(texts),
        "false_alarms": round(float(np.mean(list(rates.values()))), 4),
        "spread": round(max(rates.values()) - min(rates.values()), 4),
        "highest": {g: round(r, 2) for g, r in sorted(rates.items(), key=lambda x: -x[1])[:5] if r},
        "mean_abuse": {group: round(float(np.mean(v)), 4) for group, v in abuse.items()},
    }
