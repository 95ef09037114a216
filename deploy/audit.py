"""What the lock files bring: known vulnerabilities (from osv.dev) and licences (from what is installed).

python deploy/audit.py        0 all well · 1 a vulnerability, or a licence that is not permissive
                              3 no vulnerability was looked up: osv.dev cannot be reached from here
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

WELL, FOUND, NOT_LOOKED_UP = 0, 1, 3
ADVISORIES = "https://api.osv.dev/v1/querybatch"
SECONDS = 20.0
MOST_BYTES = 16 * 2**20
HERE = Path(__file__).parent
LOCKS = (
    HERE.parent / "requirements.lock",
    HERE.parent / "requirements-dev.lock",
    HERE / "requirements-build.lock",
)
ACCEPTED: Mapping[str, str] = {}
"""Advisory -> why it does not concern us."""

PERMISSIVE = re.compile(
    r"\b(Apache|MIT|0?BSD|ISC|PSF|Python Software Foundation|CNRI|Zlib|CC0|LLVM-exception|Unlicense"
    # Copyleft by file: as long as nobody changes its files, it asks for nothing.
    r"|MPL[- ]2|Mozilla Public License 2)\b"
)

Pinned = tuple[str, str]
"""Name and version."""


class UnreachableError(Exception):
    """Nobody could be asked, or the answer made no sense."""


def pinned(lock: str) -> list[Pinned]:
    """What a hash-locked requirements file names."""
    return re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE)


def advisories(packages: list[Pinned], url: str = ADVISORIES) -> Iterator[tuple[Pinned, str]]:
    """Each known vulnerability by its id.  Raises `UnreachableError`."""
    asked = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages
    ]
    request = urllib.request.Request(
        url, json.dumps({"queries": asked}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            results = json.loads(answer.read(MOST_BYTES))["results"]
        found = [[str(each["id"]) for each in (result or {}).get("vulns", [])] for result in results]
    except (OSError, ValueError, HTTPException, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreachableError(f"{url}: {getattr(error, 'reason', None) or type(error).__name__}") from None
    if len(found) != len(packages):
        raise UnreachableError(f"{url}: {len(found)} answers to {len(packages)} questions")
    for package, ids in zip(packages, found, strict=True):
        yield from ((package, each) for each in ids if each not in ACCEPTED)


def strange_licences(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(package, licence) of what is installed under terms that are not known to be permissive."""
    for name in names:
        try:
            told = metadata(name)
        except PackageNotFoundError:
            continue  # for another system, or another use
        classifiers = [
            each.split(" :: ")[-1] for each in told.get_all("Classifier", []) if "License ::" in each
        ]
        licence = told.get("License-Expression") or " AND ".join(classifiers) or told.get("License") or "none"
        terms = re.split(r" AND | and |[&,]", licence.strip().split("\n", maxsplit=1)[0])
        if not all(PERMISSIVE.search(each) for each in terms if each.strip()):
            yield name, licence.strip()[:80]


def main() -> int:
    """Prints a line a finding; the exit code."""
    packages = sorted({each for lock in LOCKS for each in pinned(lock.read_text(encoding="utf-8"))})
    code = WELL
    for name, licence in strange_licences(name for name, _ in packages):
        code = _said(FOUND, f"{name}: the licence {licence!r} is not known to be permissive")
    try:
        for (name, version), advisory in advisories(packages):
            code = _said(FOUND, f"{name} {version}: https://osv.dev/vulnerability/{advisory}")
    except UnreachableError as error:
        print(f"audit: NO VULNERABILITY WAS LOOKED UP for {len(packages)} packages: {error}", file=sys.stderr)
        return code or NOT_LOOKED_UP
    if code == WELL:
        print(f"audit: {len(packages)} packages, no known vulnerability, all licences permissive")
    return code


def _said(code: int, finding: str) -> int:
    print(f"audit: {finding}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
