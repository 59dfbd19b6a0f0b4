"""The HTTP routes over the store and the index, one module a subject; each is a thin face."""
