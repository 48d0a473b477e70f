"""Cached ID train features → a linear head, the same kind for every model."""
