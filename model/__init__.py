"""What one message says: text in, calibrated scores out."""

from model.classifier import Classifier
from model.errors import ModelError
from model.verdict import Verdict

__all__ = ["Classifier", "ModelError", "Verdict"]
