"""Caches carried to a place that several machines see, an object store or a folder, and back."""
