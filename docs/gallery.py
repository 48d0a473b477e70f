"""Draws the pictures of docs/gallery.md by the commands that stand there, on a demo of its own (`make gallery`).

Not a part of `make docs`: pictures differ in a few bytes between versions of matplotlib. They are kept small, with 64
colours.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PICTURES = HERE / "images" / "gallery"


def draw() -> None:
    """Write images/gallery/*.png."""
    text = (HERE / "gallery.md").read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    with tempfile.TemporaryDirectory() as folder:
        moodbench = f'moodbench() {{ "{sys.executable}" -m moodbench "$@"; }}\n'
        variables = {"MOODBENCH_CACHE_DIR": "demo/cache", "MOODBENCH_RESULTS_DIR": "demo/results"}
        for part, more in (("moodbench demo", {}), (lines, variables)):
            subprocess.run(["bash", "-e", "-c", moodbench + part], cwd=folder, env=os.environ | more, check=True)
        PICTURES.mkdir(exist_ok=True)
        for file in sorted(Path(folder).glob("*.png")):
            few = Image.open(file).convert("RGB").quantize(64, dither=Image.Dither.NONE)
            few.save(PICTURES / file.name, optimize=True)


if __name__ == "__main__":
    draw()
