"""What people read is made from serving/templates/: plain texts, and HTML pages."""

from __future__ import annotations

from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined

_environment = partial(
    Environment,
    loader=PackageLoader("serving", "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

texts = _environment(autoescape=False)
"""Plain text, not HTML: whoever shows it escapes it."""

pages = _environment(autoescape=True)
"""What customers wrote is hostile input: everything is escaped."""
