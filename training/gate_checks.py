"""The named list of what a candidate is checked for, and of what may be better; why: docs/gate.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from model.labels import LABELS, SIGNS, THREAT_KINDS
from training.evidence import Evidence
from training.figures import (
    Sample,
    calibration,
    decisions,
    dialect,
    false_alarms,
    hidden_words,
    language,
    log_loss,
    log_losses,
    mean_auroc,
    on_fresh,
    ranking,
    real,
    recall,
    same_complaint,
    sentiments,
    shifted_log_loss,
)

MARGIN = 0.01
MOST_SLOWER = 1.15
MOST_MEGABYTES = 45.0
MOST_SUSPICIOUS = 0.20

Measure = Callable[[Evidence], Sample | float | None]
"""A sample, or a plain figure for a limit; None where it was not or cannot be measured."""


class Rule(StrEnum):
    """How a check is decided.

    NON_INFERIOR: the lower bound of the difference is above minus the margin.
    NOT_WORSE: it is not shown to be worse: the upper bound of the difference is not below zero.
    LIMIT: the candidate's figure is at most the margin.
    BETTER: the lower bound of the difference is above zero.
    """

    NON_INFERIOR = "non-inferior"
    NOT_WORSE = "not worse"
    LIMIT = "limit"
    BETTER = "better"


@dataclass(frozen=True)
class Check:
    """One named check.

    Attributes:
        metric: what is measured, for a reader.
        must: when it cannot run, the candidate is refused.
        falls: a lower figure is the better one.
    """

    name: str
    metric: str
    rule: Rule
    measure: Measure
    why: str
    must: bool = True
    falls: bool = False
    margin: float = MARGIN


def speed(evidence: Evidence) -> float | None:
    return evidence.speed_ratio


def size(evidence: Evidence) -> float | None:
    return evidence.candidate.megabytes


def suspicious(evidence: Evidence) -> float | None:
    return evidence.suspicious_share


_N, _W, _L, _B = Rule.NON_INFERIOR, Rule.NOT_WORSE, Rule.LIMIT, Rule.BETTER
_DIALECTS = {
    "egy": "Egyptian",
    "gulf": "Gulf",
    "lev": "Levantine",
    "magh": "Maghrebi",
    "iraqi": "Iraqi",
    "msa": "Modern Standard Arabic",
}

CHECKS: tuple[Check, ...] = (
    Check("rank_abuse", "AUROC of abuse", _N, ranking(["abuse"]),
          "Abuse is what the agents who read the messages suffer from."),
    Check("rank_threat", "AUROC of threats", _N, ranking(["threat"]),
          "A missed threat is the gravest error of all."),
    Check("rank_accusation", "AUROC of accusations", _N, ranking(["accusation"]),
          "Accusations are the largest part of what is held against a brand."),
    Check("rank_arabic", "mean AUROC of the three labels, Arabic", _N, ranking(LABELS, language("ar")),
          "New data of one language must not cost another; three labels together are steadier than one."),
    Check("rank_arabizi", "mean AUROC of the three labels, Arabizi and mixed scripts", _N,
          ranking(LABELS, language("arabizi", "mixed")),
          "Arabizi is the weakest of the languages and the first to be forgotten."),
    Check("rank_english", "mean AUROC of the three labels, English", _N, ranking(LABELS, language("en")),
          "New data in Arabic must not cost English."),
    Check("threat_kinds", "mean AUROC of the kinds of threat", _N, ranking(THREAT_KINDS),
          "The index weighs a threat by its kind."),
    Check("message_signs", "mean AUROC of the message signs", _N, ranking(SIGNS),
          "The index leans on them; a file of corrections rarely has them, so they may be forgotten."),
    Check("sentiment", "mean AUROC of the three sentiments", _N, sentiments,
          "The index reads its course; likewise rarely in a file of corrections."),
    Check("log_loss", "log loss of the three labels", _N, log_losses, falls=True,
          why="Sees what AUROC cannot: probabilities that all moved, or grew too sure."),
    Check("hidden_words", "mean AUROC of the three labels where words are hidden", _N, hidden_words,
          "Who wants to insult learns to hide words; a fine-tuned model may forget them."),
    Check("same_complaint", "AUROC of sentence vectors, the same complaint against others", _N,
          same_complaint, "Repetition is found by sentence vectors, which no label trains."),
    Check("false_alarms", "fair complaints flagged, each model at its own thresholds", _W, false_alarms,
          "A fair customer must not be marked; too noisy for a margin of one point.", falls=True),
    Check("recall_abuse", "abuse found at the released model's threshold", _W, recall("abuse"),
          "Against labels that were all wrong in one direction: a shift leaves the AUROC as it was."),
    Check("recall_threat", "threats found at the released model's threshold", _W, recall("threat"),
          "As for abuse."),
    Check("recall_accusation", "accusations found at the released model's threshold", _W,
          recall("accusation"), "As for abuse."),
    Check("decisions", "macro-F1 of the three labels, each model at its own thresholds", _W, decisions,
          "The thresholds are part of the model; bad ones must not pass."),
    Check("calibration", "mean calibration error of the three labels", _W, calibration, falls=True,
          why="Thresholds, review and the index take probabilities at their word."),
    *(
        Check(f"dialect_{key}", f"mean AUROC of the three labels, {name}", _W,
              ranking(LABELS, dialect(key)), must=False,
              why="A damaged dialect hides in the mean of its language; too few rows for a margin.")
        for key, name in _DIALECTS.items()
    ),
    Check("real_messages", "mean AUROC of the three labels on real messages", _W, ranking(LABELS, real),
          "Real messages, where the corpora are at hand.", must=False),
    Check("new_data", "log loss of the three labels on the new data", _W, on_fresh(log_loss),
          "What was to become better must not become worse.", must=False, falls=True),
    Check("data_quality", "share of suspicious labels in the new data", _L, suspicious,
          "A model of wrong labels may look as good as ever on messages unlike them.",
          margin=MOST_SUSPICIOUS),
    Check("speed", "processor time for that of the released model", _L, speed,
          "Archives and live traffic are planned by it.", margin=MOST_SLOWER),
    Check("size", "megabytes of the graph", _L, size,
          "The size that was promised.", margin=MOST_MEGABYTES),
)  # fmt: skip
"""In the order of the report."""

IMPROVEMENTS: tuple[Check, ...] = (
    Check("new_data_log_loss", "log loss of the three labels on the new data, base rates apart", _B,
          on_fresh(shifted_log_loss),
          "What the labels were collected for. A shift of all probabilities is no gain: a threshold does it.",
          must=False, falls=True),
    Check("new_data_ranking", "mean AUROC of the three labels on the new data", _B, on_fresh(mean_auroc),
          "The same, whatever the thresholds will be.", must=False),
    Check("test_ranking", "mean AUROC of the three labels on the frozen test", _B, ranking(LABELS),
          "A model may be better in general; log loss would fall by calibration on other rows alone.",
          must=False),
)  # fmt: skip
