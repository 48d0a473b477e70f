"""Heads made of texts: what classes are called, what is said of each, and the words that are no class."""
