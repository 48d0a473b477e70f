"""What docs/detectors.md shows runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import moodbench

PAGE = Path(moodbench.__file__).parents[1] / "docs" / "detectors.md"


def test_every_block_runs_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    shared: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), shared)
    assert len(blocks) == 5
    printed = capsys.readouterr().out
    assert re.search(r"AUROC 0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\), FPR95 0\.\d{3}", printed)
    assert "ViM is better by" in printed
