"""What `mutmut run` found, as a page: score by file, and every mutant that lives, with the reason.

    python benchmarks/mutation.py [--page docs/mutation.md]

Exits 1 while fewer than 90 % are killed, or while some were not tried.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

from benchmarks.mutation_reasons import REASONS, UNEXPLAINED

WANTED_SHARE = 0.9
DEAD = ("killed", "timeout")
HEAD = """# Mutation testing

`make mutation` changes `policies/` and `autoscaler/core/` in every way that mutmut knows, one at a time, and
runs the quick tests of both against each (`tests/policies` and `tests/core`, without the searches and the
longest laws).  A change that no test notices lives; one that never ends is killed by its deadline.  It takes
half an hour on two cores.  The command writes this page: the score of each file, and what lives, by the
reason why (`benchmarks/mutation_reasons.py`).

"""


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed."""

    path: str
    function: str
    before: str
    after: str

    @property
    def reason(self) -> str:
        """Why it may live, or that nobody has said so yet."""
        change = f"{self.path} {self.function}: {self.before} => {self.after}"
        return next((reason for reason, pattern in REASONS if re.search(pattern, change)), UNEXPLAINED)


def counts_of(path: Path) -> tuple[Counter[str], list[str]]:
    """How many mutants of a file ended how, and the names of those that live."""
    data = SourceFileMutationData(path=path)
    data.load()
    ends = {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
    return Counter(ends.values()), [name for name, end in ends.items() if end not in DEAD]


def survivors_of(path: Path, names: list[str]) -> Iterator[Survivor]:
    """What each of these mutants changed."""
    for name in names:
        changed = [line for line in get_diff_for_mutant(name, path=path).splitlines()[3:] if line[:1] in "+-"]
        before, after = (" ".join(line[1:].strip() for line in changed if line[0] == side) for side in "-+")
        function = re.sub(r"^x_?|__mutmut_\d+$", "", name.rpartition(".")[2]).strip("ǁ").replace("ǁ", ".")
        yield Survivor(str(path), function, before, after)


def _change(survivor: Survivor) -> str:
    """The line, and what became of which of its words."""
    words, others = re.split(r"(\s+)", survivor.before), re.split(r"(\s+)", survivor.after)
    while words and others and words[0] == others[0]:
        del words[0], others[0]
    while words and others and words[-1] == others[-1]:
        del words[-1], others[-1]
    before, after = "".join(words).strip(), "".join(others).strip()
    return f"`{survivor.before}`: `{before}` → `{after or 'nothing'}`"


def page_of(rows: list[tuple[str, Counter[str]]], survivors: list[Survivor]) -> str:
    """The page in Markdown."""
    total = sum((counts for _, counts in rows), Counter[str]())
    lines = [HEAD, "| file | mutants | killed | live | score |", "|---|---|---|---|---|"]
    for name, counts in [*rows, ("**all**", total)]:
        dead = sum(counts[end] for end in DEAD)
        lines.append(
            f"| {name} | {counts.total()} | {dead} | {counts.total() - dead} | {dead / counts.total():.1%} |"
        )
    order = [*dict.fromkeys(reason for reason, _ in REASONS), UNEXPLAINED]
    by_reason = sorted(survivors, key=lambda each: (order.index(each.reason), each.path))
    for reason, group in groupby(by_reason, key=lambda each: each.reason):
        members = list(group)
        lines += ["", f"## {reason} ({len(members)})", ""]
        lines += [f"- {each.path} {each.function}: {_change(each)}" for each in members]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes the page and says the score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, default=Path("docs/mutation.md"))
    page = parser.parse_args().page
    rows, survivors = [], []
    for path in sorted(walk_mutatable_files()):
        counts, alive = counts_of(path)
        if counts:
            rows.append((f"`{path}`", counts))
            survivors += survivors_of(path, alive)
    total = sum((counts for _, counts in rows), Counter[str]())
    page.write_text(page_of(rows, survivors), encoding="utf-8")
    share = sum(total[end] for end in DEAD) / max(1, total.total())
    unexplained = sum(each.reason == UNEXPLAINED for each in survivors)
    print(f"{share:.1%} of {total.total()} mutants killed; {unexplained} live without a reason; see {page}")
    return 0 if share >= WANTED_SHARE and not total["not checked"] else 1


if __name__ == "__main__":
    sys.exit(main())
