"""The page of what mutation testing found: its table, and the reasons of what lives."""

import re
from collections import Counter
from pathlib import Path

from benchmarks.mutation import WANTED_SHARE, Survivor, page_of
from benchmarks.mutation_reasons import REASONS, UNEXPLAINED

EQUAL = Survivor("core/a.py", "f", "zip(a, b, strict=True)", "zip(a, b, )")
NEW = Survivor("core/b.py", "Guard.__call__", "if age >= limit:", "if age > limit:")


def test_a_reason_is_found_by_the_change_and_missing_until_somebody_gives_it():
    assert (EQUAL.reason, NEW.reason) == (REASONS[0][0], UNEXPLAINED)


def test_the_page_counts_and_tells():
    """Time-outs are kills; what has no reason comes last."""
    rows = [
        ("`core/a.py`", Counter(killed=8, timeout=1, survived=1)),
        ("`core/b.py`", Counter(killed=9, survived=1)),
    ]
    page = page_of(rows, [NEW, EQUAL])
    assert "| `core/a.py` | 10 | 9 | 1 | 90.0% |" in page
    assert "| **all** | 20 | 18 | 2 | 90.0% |" in page
    assert "core/b.py Guard.__call__: `if age >= limit:`: `>=` → `>`" in page
    assert page.index(f"## {REASONS[0][0]} (1)") < page.index(f"## {UNEXPLAINED} (1)")


def test_the_score_of_record_is_what_was_asked_for():
    page = (Path(__file__).parents[2] / "docs" / "mutation.md").read_text(encoding="utf-8")
    (score,) = re.findall(r"\*\*all\*\*.* ([\d.]+)% \|", page)
    assert float(score) >= 100 * WANTED_SHARE
