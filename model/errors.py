"""What can go wrong with a model's files."""


class ModelError(Exception):
    """A model folder is missing, damaged, or of another label scheme; the message says what to do."""
