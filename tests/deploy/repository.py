"""Where the deployment files are, and how they are read."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def document(name: str) -> Any:
    """A JSON file of deploy/."""
    return json.loads((DEPLOY / name).read_text(encoding="utf-8"))


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, arguments) in order: continued lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    logical = "\n".join(lines).replace("\\\n", " ").splitlines()
    parts = [line.partition(" ") for line in logical if line.strip()]
    return [(name.upper(), " ".join(rest.split())) for name, _, rest in parts]
