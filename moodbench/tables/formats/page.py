"""The page around HTML tables: one style sheet for light and dark screens, nothing fetched from anywhere."""

from __future__ import annotations

from string import Template

from moodbench.tables.order import COLOURS

_CHIPS = "\n".join(f".{family.replace('+', '-')} {{ --hue: {colour} }}" for family, colour in COLOURS.items())

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ink: #1d2129; --soft: #667085; --page: #ffffff; --line: #e4e7ec; --best: #eef4ff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ec; --soft: #98a2b3; --page: #14171c; --line: #2c323c; --best: #1f2d47 }
}
@CHIPS@
body { margin: 2rem auto; max-width: 96rem; padding: 0 1.25rem; color: var(--ink); background: var(--page);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
section + section { margin-top: 3rem }
h2 { font-size: 1.15rem; margin: 0 0 .75rem }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; width: fit-content; max-width: 100% }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; white-space: nowrap }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line) }
thead th { font-weight: 600; text-align: center; font-size: .87rem }
thead tr:last-child th:not([rowspan]) { color: var(--soft); font-weight: 500; text-align: right }
th[scope=row], thead th[rowspan] { position: sticky; left: 0; background: var(--page); text-align: left;
  border-right: 1px solid var(--line) }
th[scope=row] { font-weight: 500 }
thead th[rowspan] { vertical-align: bottom }
.edge { border-left: 1px solid var(--line) }
.block th { text-align: left; font-size: .87rem; padding-top: .7rem }
.block span { position: sticky; left: .7rem }
.chip { border-radius: 99px; padding: .1rem .6rem; font-size: .8rem; font-weight: 600;
  background: color-mix(in srgb, var(--hue) 20%, var(--page)); box-shadow: inset 0 0 0 1px var(--hue) }
.best { background: var(--best) }
.of { color: var(--soft); font-size: .87em; font-weight: 400 }
tbody:last-child tr:last-child > * { border-bottom: 0 }
ul { color: var(--soft); font-size: .87rem; list-style: none; padding: 0; margin: .75rem 0 0 }
ul strong, ul u { color: var(--ink) }
</style>
</head>
<body>
$body
</body>
</html>
""".replace("@CHIPS@", _CHIPS)
)
"""Takes `title` and `body`, both escaped."""

INSIDE = (
    """
.moodbench { font-variant-numeric: tabular-nums }
.moodbench section + section { margin-top: 1.5em }
.moodbench h2 { font-size: 1.05em; margin: 0 0 .5em }
.moodbench .scroll { overflow-x: auto; max-width: 100% }
.moodbench table { border-collapse: collapse; white-space: nowrap; margin: 0; font-size: .93em }
.moodbench :is(th, td) { padding: .2em .6em; text-align: right; background: none; border: 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent) }
.moodbench thead th { text-align: center }
.moodbench thead tr:last-child th:not([rowspan]) { font-weight: 500; opacity: .75; text-align: right }
.moodbench :is(th[scope=row], thead th[rowspan], .block th) { text-align: left }
.moodbench th[scope=row] { font-weight: 500 }
.moodbench thead th[rowspan] { vertical-align: bottom }
.moodbench .edge { border-left: 1px solid color-mix(in srgb, currentColor 18%, transparent) }
.moodbench .chip { border-radius: 99px; padding: .05em .6em; font-size: .87em; font-weight: 600;
  background: color-mix(in srgb, var(--hue) 20%, transparent); box-shadow: inset 0 0 0 1px var(--hue) }
.moodbench .best { background: color-mix(in srgb, #2f6fde 15%, transparent) }
.moodbench .of { opacity: .75; font-size: .87em; font-weight: 400 }
.moodbench ul { list-style: none; padding: 0; margin: .5em 0 0; opacity: .8; font-size: .87em }
"""
    + "\n".join(f".moodbench {line}" for line in _CHIPS.splitlines())
    + "\n"
)
"""Of tables in somebody's page: of that page are letters and colours, whether light or dark."""
