"""Damage, kills, races and bad inputs, counted: what moodbench does when something goes wrong.

Each module beside this one is a class of faults. It has ``run(folder, seed)``, which yields a `Row` for each of its
kinds; ``make bench-faults`` runs them all, and with FLAGS=--write their table goes into docs/reliability.md.
"""
