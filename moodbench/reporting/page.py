"""The page: templates, one style sheet and one program, and a policy that lets nothing else run or load.

The policy names the digests of both; whatever else a name, a note or a file name might bring along, also by a mistake
in a template, is not run. Equal chapters give equal bytes: there is no time of day in them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from moodbench.names import printable
from moodbench.release import __version__
from moodbench.reporting.chapter import Chapter, Plot
from moodbench.reporting.svg import Pictures

if TYPE_CHECKING:
    from typing import Any

    from moodbench.reporting.board import Board

_TEMPLATES = files("moodbench.reporting") / "templates"


def page(chapters: Sequence[Chapter], pictures: Pictures) -> bytes:
    """Return the page in UTF-8.

    Parameters
    ----------
    chapters : sequence of Chapter
        One for each benchmark.
    pictures : Pictures
        Through which the pictures of the chapters were made.
    """
    style = f"{_text('report.css')}\n{pictures.style()}\n"
    names = ", ".join(chapter.title for chapter in chapters)
    values = {"chapters": [_for_template(chapter) for chapter in chapters]}
    shared = Markup(pictures.shared())  # written by `Pictures`, which escapes
    return _page("page.html", f"{names}: OOD detection", style, _text("report.js"), values, shared)


def leaderboard_page(boards: Sequence[Board], left_out: Sequence[tuple[str, str]]) -> bytes:
    """Return the page of leaderboards in UTF-8, with the files that have no part in them and why."""
    style = f"{_text('report.css')}\n{_text('leaderboard.css')}\n"
    script = f"{_text('report.js')}\n{_text('leaderboard.js')}"
    names = ", ".join(dict.fromkeys(board.title for board in boards))
    values = {
        "boards": boards,
        "board_data": [htmlsafe_json_dumps(board.data(), separators=(",", ":")) for board in boards],
        "left_out": left_out,
    }
    return _page("leaderboard.html", f"{names or 'nothing'}: leaderboard of OOD detection", style, script, values)


def _page(
    template: str, title: str, style: str, script: str, values: Mapping[str, Any], shared: Markup | str = ""
) -> bytes:
    environment = Environment(
        loader=PackageLoader("moodbench.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = printable
    environment.filters["plain_lines"] = lambda text: "\n".join(map(printable, str(text).split("\n")))
    html = environment.get_template(template).render(
        **values,
        title=title,
        policy=_policy(style, script),
        style=Markup(style),  # ours, and colours as #rrggbb
        script=Markup(script),  # ours
        shared=shared,
        version=__version__,
    )
    return html.encode("utf-8", "backslashreplace")  # names of files that are no UTF-8


def _for_template(chapter: Chapter) -> dict[str, Any]:
    fields = {name: getattr(chapter, name) for name in Chapter.__dataclass_fields__}
    plots = [_marked(plot) for plot in chapter.plots]
    halves = [[_marked(plot) for plot in half] for half in chapter.halves]
    sets = [{**vars(one), "picture": Markup(one.picture)} for one in chapter.sets]  # by `Pictures`
    return fields | {
        "plots": plots,
        "halves": halves,
        "sets": sets,
        "data": htmlsafe_json_dumps(chapter.sheet.data(), separators=(",", ":")),
    }


def _marked(plot: Plot) -> dict[str, Any]:
    return {**vars(plot), "svg": Markup(plot.svg), "narrow": Markup(plot.narrow)}  # by `Pictures`, which escapes


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
