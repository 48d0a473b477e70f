"""What the site has beyond the files of docs/: formulas as MathML, pages made from the program, links out of docs/.

Called by MkDocs (`make site`), which needs the extra ``moodbench-ood[site]``.
"""

from __future__ import annotations

import base64
import html
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
"""What pymdownx.arithmatex makes of ``$…$`` and of a block ```` ```math ````, both of which GitHub typesets too."""

OUTPUT = re.compile(r"<p>OUTPUT:([A-Za-z0-9+/=]+)</p>")
"""HTML that a cell of a notebook has shown, in letters that Markdown leaves alone."""

NOTHING_SAID = re.compile(r'\s*–\s*<div class="doc-md-description">\s*</div>')
"""The dash that mkdocstrings puts behind a parameter or an error of which no more is said."""

PICTURE = re.compile(r'<img alt="[^"]*" src="(images/[^"]+)" ?/?>')

WITHOUT_MEMBERS = ("SCORES", "Score", "Result", "Head", "MoodbenchError", "Workspace", "Metric")
"""Classes that are records, or whose methods are for moodbench itself."""

OUTSIDE = re.compile(r"\[([^\]]*)\]\(\.\./[^)]+\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have headings the anchors that GitHub gives them, so that links work in both places."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def slug(heading: str, separator: str = "-") -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files of docs/."""
    for name, text in {"changelog.md": changelog(), **notebooks(), **reference()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show links to files of the repository, which the site does not have, as text; let lines of docstrings wrap."""
    if page.file.src_uri == "scores.md":
        markdown = markdown.replace("```text\n", "``` { .text .wraps }\n")
    return markdown if "/" in page.file.src_uri else OUTSIDE.sub(r"\1", markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Typeset formulas, which browsers show without a script as MathML; open a picture by a click on it."""
    html = FORMULA.sub(lambda found: mathml(found[2], block=found[1] == "div"), html)
    html = OUTPUT.sub(lambda found: f'<div class="output">{base64.b64decode(found[1]).decode()}</div>', html)
    html = NOTHING_SAID.sub("", html)
    return PICTURE.sub(r'<a href="\1">\g<0></a>', html)


def mathml(formula: str, *, block: bool) -> str:
    """Return a formula in LaTeX, as it stands in HTML, as MathML. A wide block scrolls in a box of its own."""
    text = html.unescape(formula).strip()
    element: str = convert(text, display="block" if block else "inline")
    return f'<div class="formula" tabindex="0">{element}</div>' if block else element


def changelog() -> str:
    """Return CHANGELOG.md, whose links begin at the top of the repository."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.sub(r"\]\(docs/", "](", text)


def notebooks() -> dict[str, str]:
    """Return the notebooks of docs/ as pages, by name: their texts, their code and what it has shown."""
    pages = {}
    for file in sorted(Path(__file__).parent.glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        pages[f"{file.stem}.md"] = "\n\n".join(part for cell in cells for part in _parts(cell))
    return pages


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    """Yield a cell of a notebook as Markdown, and then its outputs, each in the richest form that it has."""
    text = "".join(cell["source"])
    yield text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
    for output in cell.get("outputs", ()):
        forms = {kind: "".join(lines) for kind, lines in output.get("data", {}).items()}
        if "image/png" in forms:
            picture = "".join(forms["image/png"].split())
            forms["text/html"] = f'<p><img alt="the picture" src="data:image/png;base64,{picture}"></p>'
        if "text/html" in forms:
            yield "OUTPUT:" + base64.b64encode(forms["text/html"].encode()).decode()
        else:
            yield f"```text\n{(forms.get('text/plain') or ''.join(output.get('text', ()))).rstrip()}\n```"


def reference() -> dict[str, str]:
    """Return the pages that mkdocstrings fills with docstrings, by name."""
    import moodbench
    from moodbench import detectors, metrics

    public = [name for name in vars(metrics) if inspect.getmodule(getattr(metrics, name)) is metrics]
    names = [name for name in public if not name.startswith("_")]
    parts = {
        "moodbench": (moodbench, [f"moodbench.{name}" for name in sorted(moodbench.__all__, key=_rank)]),
        "metrics": (metrics, [f"moodbench.metrics.{name}" for name in [*names, "METRICS"]]),
        "detectors": (detectors, [f"moodbench.detectors.{name}" for name in detectors.__all__]),
    }
    pages = {f"api/{name}.md": _page(module, paths) for name, (module, paths) in parts.items()}
    pages["api/detectors.md"] += _classes()
    return pages


def _page(module: Any, paths: list[str]) -> str:
    intro = (inspect.getdoc(module) or "").replace("::\n", ":\n")
    parts = [f"# `{module.__name__}`\n", f"{intro}\n"]
    for path in paths:
        whole = path.rpartition(".")[2] not in WITHOUT_MEMBERS
        parts.append(f"::: {path}\n" + ("" if whole else "    options: {members: false}\n"))
    return "\n".join(parts) + "\n"


def _rank(name: str) -> tuple[bool, str]:
    """Return what puts functions before classes."""
    return not name.islower(), name


def _classes() -> str:
    """Return a table of the classes that are made from scores, each with a link to what it computes."""
    from moodbench.commands.list_ import list_scores
    from moodbench.detectors.made import class_names

    records = {record["name"]: record for record in list_scores()}
    rows = ["\n## The classes\n", "| class | score | family | needs | parameters |", "|---|---|---|---|---|"]
    for name, score in class_names().items():
        record = records[score]
        anchor = slug(f"{score}: {record['title']}")
        parameters = ", ".join(f"`{key}={value}`" for key, value in record["params"].items())
        cells = (f"`{name}`", f"[{record['title']}](../scores.md#{anchor})", record["family"])
        rows.append("| " + " | ".join((*cells, ", ".join(record["needs"]), parameters)) + " |")
    return "\n".join(rows) + "\n"
