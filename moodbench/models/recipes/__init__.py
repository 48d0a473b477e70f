"""Recipes of changed images: one small file each (`moodbench.models.recipes.base` has the contract)."""
