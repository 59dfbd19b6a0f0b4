"""`--into-store`: the messages of an archive with their verdicts into the service's store.

They come in by the same rules as over POST /messages, each once by its (source, id), and are scored
already: the service only brings its customers' index up to date, now if it runs, else when it starts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, bindparam, update

from model import Verdict
from serving.archives import row
from serving.routes.bodies import clean, explain
from serving.routes.messages import MessageBody
from serving.scoring import Thresholds, verdict_row
from serving.store.database import Database
from serving.store.messages import Accepted, Message, add_messages
from serving.store.queue import Waiting, finish
from serving.store.tables import customers

NO_CUSTOMER = "no customer: say which column it is (--column customer=NAME)"
NO_TIME = "no time that can be read: say which column it is (--column sent_at=NAME)"
IN_FUTURE = "a time in the future"
_UNKNOWN_CHANNEL = "archive"
_PACKED = (".gz", ".zst")


@dataclass
class Loaded:
    """What became of an archive's messages.

    Attributes:
        new: stored now.
        duplicates: they were there with the same text, or come twice.
        conflicts: another text is there under their (source, id); it is kept.
        refused: why a message cannot be stored, and how many cannot.
    """

    new: int = 0
    duplicates: int = 0
    conflicts: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class StoreLoader:
    """Loads the messages of one archive, chunk by chunk, each in one transaction.

    Args:
        thresholds: the model's, for the message signs.
        source: what the messages' source is called; None takes "archive:" and the names of the
            file, unpacked, and of its folder.
        keep_text: False keeps scores and a hash of each text only (the setting `store_text`).
        future_seconds: how far ahead of our clock a message may be dated; it is then taken as sent now.
    """

    def __init__(
        self,
        database: Database,
        thresholds: Thresholds,
        source: str | None = None,
        keep_text: bool = True,
        future_seconds: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.loaded = Loaded()
        self._database = database
        self._thresholds = thresholds
        self._source = source
        self._keep_text = keep_text
        self._future_seconds = future_seconds
        self._clock = clock

    def load(self, judged: Sequence[row.Judged]) -> None:
        """Store messages durably; again, it changes nothing, and counts them as duplicates. Customers
        without a name get the last one of these messages.
        """
        now = self._clock()
        checked = [(self._message(one, now), one) for one in judged]
        known = [(message, one) for message, one in checked if message is not None]
        found = [(message, one.verdict) for message, one in known]
        batch = [message for message, _ in found]
        latest = sorted(known, key=lambda pair: pair[0].sent_at)
        names = {m.customer_id: clean(one.message.name) for m, one in latest if one.message.name}
        with self._database.begin() as connection:
            accepted = add_messages(
                self._database, connection, batch, now, keep_text=self._keep_text
            )
            _name(connection, names)
            waiting, rows = self._verdicts(accepted, found)
            finish(self._database, connection, waiting, rows, self._keep_text)
        self.loaded.new += len(accepted.new)
        self.loaded.duplicates += len(accepted.duplicates)
        self.loaded.conflicts += len(accepted.conflicts)

    def _verdicts(
        self, accepted: Accepted, found: Sequence[tuple[Message, Verdict | None]]
    ) -> tuple[list[Waiting], list[dict[str, Any]]]:
        """The stored messages that wait for a verdict and have one, and their rows of `verdicts`."""
        texts = {message.key: message.text for message in (*accepted.new, *accepted.duplicates)}
        said = {(message.key, message.text): verdict for message, verdict in found}
        waiting, rows = [], []
        for key, seq in accepted.unscored.items():
            text = texts[key]
            if (verdict := said[key, text]) is not None:
                waiting.append(Waiting(seq, text))
                rows.append(verdict_row(seq, text, verdict, self._thresholds))
        return waiting, rows

    def _message(self, one: row.Judged, now: float) -> Message | None:
        """The message as it is stored; None, and the reason counted, where it cannot be."""
        try:
            return self._checked(one, now)
        except ValidationError as error:
            reason = explain(error)
        except ValueError as error:
            reason = str(error)
        self.loaded.refused[reason] += 1
        return None

    def _checked(self, one: row.Judged, now: float) -> Message:
        """Raises ValueError: it cannot be stored."""
        message = one.message
        if message.customer is None:
            raise ValueError(NO_CUSTOMER)
        if message.at is None:
            raise ValueError(NO_TIME)
        if message.at > now + self._future_seconds:
            raise ValueError(IN_FUTURE)
        body = MessageBody.model_validate(
            {
                "source": self._source or _source_of(one.source),
                "id": message.id or _stable_id(message),
                "customer_id": message.customer,
                "direction": message.direction,
                "channel": message.channel or _UNKNOWN_CHANNEL,
                "ticket_id": message.ticket,
                "agent_id": message.agent,
            }
        )
        at, text = min(message.at, now), clean(message.text)
        return Message(**body.model_dump(), sent_at=at, text=text)


def _name(connection: Connection, names: Mapping[str, str]) -> None:
    """Name the customers that have no name: one that people gave stays."""
    nameless = customers.c.id == bindparam("customer"), customers.c.name.is_(None)
    rows = [{"customer": customer, "given": name} for customer, name in sorted(names.items())]
    if rows:
        connection.execute(update(customers).where(*nameless).values(name=bindparam("given")), rows)


def _source_of(name: str) -> str:
    """The same however the archive is named on the command line, and packed."""
    path = Path(name).resolve()
    path = path.with_suffix("") if path.suffix in _PACKED else path
    return f"archive:{'/'.join(path.parts[-2:])}"


def _stable_id(message: row.Message) -> str:
    """The same for the same message in every archive that holds it. Two in one minute that say the same
    are then one.
    """
    content = message.customer, message.at, message.direction, message.text
    return blake2b(repr(content).encode(), digest_size=16).hexdigest()
