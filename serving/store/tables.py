"""The tables. Times are seconds since 1970, UTC, as doubles (exact to the microsecond)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Serial = BigInteger().with_variant(Integer, "sqlite")
# SQLite gives the number of the last row again once that is deleted. Where somebody outside the
# transaction keeps a number (the scorer, a receiver of alerts), tables say sqlite_autoincrement.


def _customer(primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(
        "customer_id",
        String,
        ForeignKey("customers.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=nullable,
    )


customers = Table(
    "customers",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String),
    Column("plan", String),
    Column("monthly_value", Double),
    Column("currency", String),
    Column("usage_volume", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("end_reason", String),
    Column("created_at", Double, nullable=False),
    # Time of the earliest event that the state does not know yet; null when it knows all.
    Column("dirty_from", Double, index=True),
)

profiles = Table(
    "profiles",
    metadata,
    Column("seq", _Serial, primary_key=True),
    _customer(),
    Column("at", Double, nullable=False),
    Column("plan", String),
    Column("usage_volume", Double),
    Column("monthly_value", Double),
    Index(None, "customer_id", "at"),
)

messages = Table(
    "messages",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    _customer(),
    Column("direction", String, nullable=False),  # in, out
    Column("channel", String, nullable=False),
    Column("sent_at", Double, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("ticket_id", String),
    Column("agent_id", String),
    Column("text", Text),  # null once it is not kept any more
    Column("text_hash", String, nullable=False),  # SHA-256, hex
    Column("refuses", Boolean, nullable=False),  # outgoing: work outside the product is refused
    Column("scored", Boolean, nullable=False),  # true from the start for outgoing ones
    Column("claimed_until", Double),  # a scorer works on it; when past, another may take it
    Column("attempts", Integer, nullable=False, default=0),  # how often a scorer has taken it
    UniqueConstraint("source", "id"),
    Index(None, "customer_id", "sent_at", "seq"),
    Index(None, "ticket_id"),
    Index(None, "sent_at"),
    sqlite_autoincrement=True,
)
Index(
    "ix_messages_unscored",
    messages.c.seq,
    sqlite_where=messages.c.scored == false(),
    postgresql_where=messages.c.scored == false(),
)
Index(  # whether a customer's messages wait is asked at every update of it
    "ix_messages_customer_id_unscored",
    messages.c.customer_id,
    sqlite_where=messages.c.scored == false(),
    postgresql_where=messages.c.scored == false(),
)
_BY_AGENT = text("direction = 'out' AND agent_id IS NOT NULL")
Index(
    "ix_messages_agents",
    messages.c.sent_at,
    messages.c.agent_id,
    messages.c.customer_id,
    messages.c.direction,  # SQLite reads from the index alone what is in it, even if implied
    sqlite_where=_BY_AGENT,
    postgresql_where=_BY_AGENT,
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("seq", _Serial, ForeignKey("messages.seq", ondelete="CASCADE"), primary_key=True),
    Column("model", String, nullable=False),
    Column("verdict", Text, nullable=False),  # JSON as on the wire, without the id
    Column("off_channel", Boolean, nullable=False),
    Column("out_of_scope", Boolean, nullable=False),
    Column("thanks", Boolean, nullable=False),
    Column("asks", Boolean, nullable=False),
    Column("takes_back", Boolean, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # 256 signed bytes
)

rescored = Table(
    "rescored",
    metadata,
    # What another model says of the message: one that may be applied, or that was replaced.
    Column("seq", _Serial, ForeignKey("messages.seq", ondelete="CASCADE"), primary_key=True),
    Column("model", String, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("off_channel", Boolean, nullable=False),
    Column("out_of_scope", Boolean, nullable=False),
    Column("thanks", Boolean, nullable=False),
    Column("asks", Boolean, nullable=False),
    Column("takes_back", Boolean, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("replaced_by", String),  # the model whose verdict took its place; null until one did
    Column("replaced_at", Double),
    Index(None, "model", "seq"),
    Index(None, "replaced_by", "replaced_at"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("id", String, primary_key=True),
    _customer(nullable=True),
    Column("opened_at", Double),
    Column("first_reply_at", Double),
    Column("resolved_at", Double),
    Column("reopened", Integer),
    Column("handoffs", Integer),
    Column("minutes_of_work", Double),
    Column("updated_at", Double, nullable=False),
    # No event of it and nothing in its record is later; null when it has neither.
    Column("last_at", Double),
    Index(None, "customer_id", "last_at"),
)
_WITH_MINUTES = text("minutes_of_work IS NOT NULL")
Index(
    "ix_tickets_worked",
    tickets.c.updated_at,
    sqlite_where=_WITH_MINUTES,
    postgresql_where=_WITH_MINUTES,
)

ticket_events = Table(
    "ticket_events",
    metadata,
    Column("ticket_id", String, ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("agent_id", String),
    Column("minutes", Double),
    Index(None, "ticket_id", "at"),
)
_IS_WORK = text("type = 'work'")
Index(
    "ix_ticket_events_work",
    ticket_events.c.at,
    ticket_events.c.ticket_id,
    ticket_events.c.agent_id,
    ticket_events.c.minutes,
    ticket_events.c.type,
    sqlite_where=_IS_WORK,
    postgresql_where=_IS_WORK,
)

agents = Table(
    "agents",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String),
    Column("joined_at", Double),
    Column("left_at", Double),
)

sources = Table(
    "sources",
    metadata,
    Column("name", String, primary_key=True),
    # Once one of its messages named an agent, those that name none are from bots.
    Column("names_agents", Boolean, nullable=False),
    # While the customers of its earlier messages are still to be folded anew: the last one done.
    Column("anew_after", String),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("seq", _Serial, primary_key=True),
    _customer(),
    Column("type", String, nullable=False),  # purchase, renewal, upgrade, cancellation
    Column("at", Double, nullable=False),
    Column("amount", Double),
    UniqueConstraint("customer_id", "type", "at"),
    Index(None, "type", "at", "customer_id"),
)

ratings = Table(
    "ratings",
    metadata,
    Column("seq", _Serial, primary_key=True),
    _customer(),
    Column("rating", Integer, nullable=False),
    Column("note", Text),
    Column("agent_id", String),
    Column("at", Double, nullable=False),
    Column("id", String),  # the sender's, if it gave one
    UniqueConstraint("customer_id", "id"),
    Index(None, "customer_id", "at"),
    Index(None, "at", "rating"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", _Serial, primary_key=True),
    _customer(),
    Column("step", String, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("id", String),  # the sender's, if it gave one
    UniqueConstraint("customer_id", "id"),
    Index(None, "customer_id", "at"),
)

states = Table(
    "states",
    metadata,
    _customer(primary_key=True),
    Column("at", Double, nullable=False),  # of the last event that it knows
    # The reading as of the last refresh, for lists and the portfolio.
    Column("refreshed_at", Double, nullable=False),
    Column("index_value", Double, nullable=False),
    Column("pain", Double, nullable=False),
    Column("quadrant", String, nullable=False),
    Column("signs", String, nullable=False),  # active ones, joined by |
    Column("prepare_separation", Boolean, nullable=False),
    Column("grave_at", Double),
    Column("rate", Double, nullable=False),  # hostile language, 0 to 1
    Column("contacts", Double, nullable=False),  # in the volume window
    # At the end: SQLite finds what lies behind something large in a row slowly.
    Column("state", LargeBinary, nullable=False),
    # Lists are read and filtered from the index alone.
    Index(None, "index_value", "customer_id", "pain", "quadrant", "signs"),
    Index(None, "pain", "customer_id", "index_value", "quadrant", "signs"),
    Index(None, "quadrant", "index_value", "customer_id"),
    Index(None, "refreshed_at"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    _customer(primary_key=True),
    Column("at", Double, primary_key=True),
    Column("state", LargeBinary, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("day", String, primary_key=True),  # ISO date, UTC, of the day on which it is used
    Column("body", Text, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),  # SHA-256 of the key, hex
    Column("scopes", String, nullable=False),  # joined by blanks
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("at", Double, nullable=False),
    Column("key_id", String),  # null where no keys are in use
    Column("action", String, nullable=False),
    Column("customer_id", String),  # no foreign key: the record outlives the customer
    Column("details", Text),
    Index(None, "customer_id", "at"),
    sqlite_autoincrement=True,
)

alerts = Table(
    "alerts",
    metadata,
    Column("seq", _Serial, primary_key=True),
    _customer(nullable=True),  # null where it is about no customer
    Column("at", Double, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("delivered_at", Double),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", Double),
    Index(None, "customer_id", "seq"),
    sqlite_autoincrement=True,
)
_NOT_DELIVERED = text("delivered_at IS NULL")
Index(
    "ix_alerts_due",
    alerts.c.at,
    alerts.c.seq,
    sqlite_where=_NOT_DELIVERED,
    postgresql_where=_NOT_DELIVERED,
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", _Serial, primary_key=True),
    _customer(nullable=True),
    # Null where a text was judged that is no stored message.
    Column("message_seq", _Serial, ForeignKey("messages.seq", ondelete="CASCADE")),
    Column("item", String, nullable=False),  # SHA-256 of source and id, or of the text
    Column("source", String),
    Column("id", String),  # the message's
    Column("group", String),  # rows of one group are kept together in training: the customer
    Column("text", Text),  # null where it is the message's
    Column("reviewer", String, nullable=False),
    Column("labels", Text, nullable=False),  # JSON; only those that the reviewer gave
    Column("reason", Text),
    Column("at", Double, nullable=False),
    Column("verdict", Text),  # the model's at that time, JSON; null where none was asked
    Column("ended_at", Double),  # null while it holds
    Column("ended", String),  # replaced, undone
    Index(None, "customer_id"),
    Index(None, "message_seq"),
    Index(None, "reviewer", "item"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)
_HOLDS = text("ended_at IS NULL")
Index(
    "ix_feedback_holding",
    feedback.c.item,
    feedback.c.reviewer,
    unique=True,
    sqlite_where=_HOLDS,
    postgresql_where=_HOLDS,
)

leases = Table(
    "leases",
    metadata,
    Column(
        "message_seq", _Serial, ForeignKey("messages.seq", ondelete="CASCADE"), primary_key=True
    ),
    Column("reviewer", String, nullable=False),
    Column("until", Double, nullable=False),
    Column("why", Text, nullable=False),  # JSON
    # Given back: free for others, and not offered to this reviewer again before `until`.
    Column("given_back", Boolean, nullable=False),
    Index(None, "reviewer"),
)
"""Messages that a reviewer has before them."""

drift_weeks = Table(
    "drift_weeks",
    metadata,
    Column("start", Double, primary_key=True),  # Monday, 00:00 UTC
    Column("model", String, nullable=False),  # whose verdicts the figures are of
    Column("figures", Text, nullable=False),  # JSON of serving.drift.WeekFigures
    Column("made_at", Double, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What the store knows of itself, such as the fingerprint of the settings of the states."""
