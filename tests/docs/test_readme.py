"""The README's tables and configurations are true."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from autoscaler.configuration import load
from autoscaler.reference import refreshed

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/runbook.md")


def test_the_tables_are_made_from_the_code():
    """If this fails: make docs."""
    readme = (ROOT / "README.md").read_text()
    assert refreshed(readme) == readme


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Every relative link names a file."""
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text()):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_the_configuration_of_the_readme_is_valid(tmp_path):
    """As a reader would paste it."""
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    first = "\n".join(line.strip() for line in blocks[0].splitlines())
    path = tmp_path / "autoscaler.toml"
    path.write_text(first)
    assert load(path, {}).targets["default"].cluster == "production"
    assert tomllib.loads(blocks[1])["policy"]["name"] == "highest"
    path.write_text(first.replace("[airflow]", f"{blocks[1]}\n[airflow]"))
    assert load(path, {}).targets["default"].policy["name"] == "highest"


def test_every_limit_of_the_security_page_is_there():
    """Each names a file and what in it holds the limit."""
    table = (ROOT / "SECURITY.md").read_text().split("## Limits")[1].split("## ")[0]
    places = re.findall(r"`((?:autoscaler|simulations)/[\w/]+)\.py` ((?:`\w+`(?:, )?)+)", table)
    assert len(places) > 25
    for path, names in places:
        module = importlib.import_module(path.replace("/", "."))
        assert all(hasattr(module, name) for name in re.findall(r"\w+", names)), (path, names)
