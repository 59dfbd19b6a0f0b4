"""Which column of an archive is what: told, by its name in English or Arabic, or by its content."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from serving.archives.column_names import PERHAPS_NAMES, RANKS, plain_name
from serving.archives.moments import plain
from serving.archives.row import ArchiveError

ROLES = ("text", "id", "customer", "name", "sent_at", "direction", "channel", "ticket", "agent")
TOLD, BY_NAME, BY_CONTENT = "told", "name", "content"

NO_TEXT = "no column is known as the text"

_IN_WORDS = """in inbound incoming received receive customer client user contact visitor consumer enduser
    requester buyer fromcustomer وارد وارده مستلم مستلمه عميل زبون مستخدم مشتري"""
_OUT_WORDS = """out outbound outgoing sent send agent staff employee company business support admin bot
    assistant operator brand page seller system tocustomer صادر صادره مرسله موظف شركه وكيل دعم
    خدمهعملاء متجر بوت"""
_YES, _NO = frozenset({"true", "1", "yes", "نعم"}), frozenset({"false", "0", "no", "لا"})
_HOUR_NAMES = frozenset({"time", "hour", "timeofday", "messagetime", "وقت", "ساعه", "توقيت"})
_HOUR = re.compile(r"\d\d?[:.]\d\d")
_LEAST_WORDS = 1.5
"""Mean words of a column that can be the text when no name says which is."""

_DIRECTIONS = dict.fromkeys(_IN_WORDS.split(), "in") | dict.fromkeys(_OUT_WORDS.split(), "out")
_PERSON = re.compile(r"[^\d@]*[^\W\d_][^\d@]*")
_INCOMING = {"incoming", "isincoming", "inbound", "isinbound"}
_INCOMING |= {"fromcustomer", "isfromcustomer", "iscustomer"}
_OUTGOING = {"outgoing", "isoutgoing", "outbound", "isoutbound", "fromme", "isfromme"}
_OUTGOING |= {"fromagent", "isfromagent", "isagent"}


@dataclass(frozen=True)
class Found:
    """The column of a role, and what told that it is (told, name or content)."""

    column: str
    by: str


def find_columns(
    columns: Sequence[str],
    sample: Sequence[Mapping[str, Any]],
    told: Mapping[str, str],
    incoming: frozenset[str] = frozenset(),
) -> dict[str, Found]:
    """The column of each role that has one, given the columns and the first rows.

    A role told as "" has none. A column whose name does for a direction is one only if its values do:
    known words, or the `incoming` ones that the user has told. Names of customers are looked for where
    another column tells who they are.

    Without any row only names are asked.

    Raises:
        ArchiveError: a told role or column does not exist, or no column can be the text.
    """
    found = dict(_told(columns, told))
    named = sorted(
        (rank, ROLES.index(role), place)
        for place, column in enumerate(columns)
        for role, ranks in RANKS.items()
        if role != "name"
        if (rank := ranks.get(plain_name(column))) is not None
    )
    for _, role_place, place in named:
        role, column = ROLES[role_place], columns[place]
        taken = column in {other.column for other in found.values()}
        if role in told or role in found or taken:
            continue
        values = [row.get(column) for row in sample]
        if role != "direction" or tells_direction(column, values, incoming):
            found[role] = Found(column, BY_NAME)
    if "name" not in told and (name := _find_name(columns, sample, found, incoming)):
        found["name"] = Found(name, BY_NAME)
    if "text" not in found and sample:
        free = [c for c in columns if c not in {other.column for other in found.values()}]
        found["text"] = Found(_longest(free, columns, sample), BY_CONTENT)
    return {role: found[role] for role in ROLES if role in found}


def _told(columns: Sequence[str], told: Mapping[str, str]) -> list[tuple[str, Found]]:
    found = []
    for role, column in told.items():
        if role not in ROLES:
            raise ArchiveError(f"there is no role {role!r}; the roles are {', '.join(ROLES)}")
        if column and column not in columns:
            raise ArchiveError(f"there is no column {column!r}; the columns are {_list(columns)}")
        if column:
            found.append((role, Found(column, TOLD)))
    return found


def _find_name(
    columns: Sequence[str],
    sample: Sequence[Mapping[str, Any]],
    found: Mapping[str, Found],
    incoming: frozenset[str],
) -> str | None:
    """The column of the customers' names, beside the one that tells who they are."""
    if "customer" not in found:
        return None
    taken = {other.column for other in found.values()}
    free = {plain_name(column): column for column in reversed(columns) if column not in taken}
    if sure := [free[name] for name in RANKS["name"] if name in free]:
        return sure[0]
    side = found["direction"].column if "direction" in found else None
    written = [
        row for row in sample if side is None or _side(side, row.get(side), incoming) != "out"
    ]
    perhaps = [free[name] for name in PERHAPS_NAMES if name in free]
    customer = found["customer"].column
    return next((one for one in perhaps if _names_customers(one, customer, written)), None)


def _side(column: str, value: Any, incoming: frozenset[str]) -> str | None:
    return read_direction(column, str(value).strip(), incoming)


def _names_customers(column: str, customer: str, sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column holds the names of the customers: words, one for each customer, and not the
    same few for all, as agents or products have them.
    """
    pairs = {
        (str(row[customer]).strip(), str(row[column]).strip())
        for row in sample
        if row.get(customer) not in (None, "") and row.get(column) not in (None, "")
    }
    customers, names = {one for one, _ in pairs}, {name for _, name in pairs}
    words = sum(_PERSON.fullmatch(name) is not None for name in names)
    one_each = 2 * len(pairs) <= 3 * len(customers)
    return bool(pairs) and 2 * words > len(names) and one_each and 4 * len(names) >= len(customers)


def _list(columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:30])
    return f"{shown} and {len(columns) - 30} more" if len(columns) > 30 else shown


def _longest(
    free: Sequence[str], columns: Sequence[str], sample: Sequence[Mapping[str, Any]]
) -> str:
    """The column with the most words that are not always the same.

    Raises:
        ArchiveError: none has words.
    """
    words = {column: _varied_words([row.get(column) for row in sample]) for column in free}
    best = max(words, key=lambda column: words[column], default=None)
    if best is None or words[best] < _LEAST_WORDS:
        raise ArchiveError(f"{NO_TEXT}; say which is (--column text=NAME) of {_list(columns)}")
    return best


def _varied_words(values: Sequence[Any]) -> float:
    """Mean number of words (with a letter) in a value, times the share of values that differ."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if not texts:
        return 0.0
    words = sum(len(re.findall(r"[^\W\d_]+", text)) for text in texts) / len(texts)
    return words * len(set(texts)) / len(texts)


def read_direction(column: str, value: str, incoming: frozenset[str] = frozenset()) -> str | None:
    """The direction, in or out; None for a value that tells neither.

    `incoming` are the values that mean from the customer, where the user has told them; every other
    one then means from the company. A name like `from_me` or `is_incoming` gives yes and no a meaning.
    """
    if incoming:
        return "in" if value in incoming else "out"
    name, word = plain_name(column), plain_name(value)
    if word in _YES | _NO and name in _INCOMING | _OUTGOING:
        return "in" if (word in _YES) == (name in _INCOMING) else "out"
    return _DIRECTIONS.get(word)


def may_tell_direction(column: str) -> bool:
    """Whether its name does for a direction."""
    return plain_name(column) in RANKS["direction"]


def tells_direction(
    column: str, values: Sequence[Any], incoming: frozenset[str] = frozenset()
) -> bool:
    """Whether half of the values that are there are directions, or some are told to be."""
    there = [str(value).strip() for value in values if value is not None and str(value).strip()]
    if incoming:
        return not incoming.isdisjoint(there)
    known = sum(read_direction(column, value) is not None for value in there)
    return 2 * known >= len(there)


def find_time_of_day(
    columns: Sequence[str], sample: Sequence[Mapping[str, Any]], found: Mapping[str, Found]
) -> str | None:
    """The column with the hour, beside one with the day alone, as spreadsheets have it."""
    if "sent_at" not in found:
        return None
    taken = {other.column for other in found.values()}
    day = found["sent_at"].column
    for column in columns:
        if column not in taken and plain_name(column) in _HOUR_NAMES:
            pairs = [(row.get(day), row.get(column)) for row in sample]
            pairs = [(d, h) for d, h in pairs if d is not None and h is not None]
            apart = sum(_is_hour(h) and not _has_hour(d) for d, h in pairs)
            if 2 * apart > len(pairs):
                return column
    return None


def _is_hour(value: Any) -> bool:
    return isinstance(value, time) or bool(_HOUR.match(plain(str(value))))


def _has_hour(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.time() != time()
    return ":" in str(value)


def is_known_name(name: str) -> bool:
    """Whether a column of this name says what it holds."""
    return any(plain_name(name) in ranks for ranks in RANKS.values())
