"""Recipes of generated datasets: one small module each."""
