"""The store: what companies send, durable before it is scored, on SQLite or PostgreSQL."""
