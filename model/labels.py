"""The label scheme: which outputs the model has, and in which order.

The scheme's version is part of a released model; a model of another scheme is refused at load.
"""

SCHEME = "1"

LABELS = ("abuse", "threat", "accusation")
THREAT_KINDS = ("physical", "private_data", "job", "reputation")
SIGNS = (
    "off_channel",
    "out_of_scope",
    "refund_demand",
    "escalation",
    "leaving",
    "distress",
)
SENTIMENTS = ("negative", "neutral", "positive")

YES_NO = LABELS + THREAT_KINDS + SIGNS
"""Outputs with a probability each (sigmoid), in the order of the graph's first columns."""

OUTPUTS = YES_NO + SENTIMENTS
"""All columns of the graph's `probabilities`; the last three sum to 1 (softmax)."""
