"""Layouts: one small module each, which turns what publishers pack into image files."""
