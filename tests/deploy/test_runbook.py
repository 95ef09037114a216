"""Whoever is called finds a paragraph, and every metric, command and setting it names exists."""

import re

import pytest
import yaml
from prometheus_client import Counter, Histogram
from typer.main import get_command

from autoscaler.cli import app
from autoscaler.metrics import PREFIX, TABLE
from autoscaler.reference import fields
from policies.model import AlarmKind, Reason
from tests.deploy.repository import text

RUNBOOK = text("docs/runbook.md")
RULES = [
    rule
    for group in yaml.safe_load(text("deploy/prometheus-alerts.yml"))["groups"]
    for rule in group["rules"]
]
METRICS = {f"{PREFIX}_{metric.name}": metric for metric in TABLE}
LABELS = {label for metric in TABLE for label in metric.labels}


def section(heading):
    """The text under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def anchors():
    """Every heading as a link names it: lower case, dashes for spaces, no punctuation but _ and -."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def named_metrics(words):
    return set(re.findall(rf"\b{PREFIX}_[a-z_]+", words))


@pytest.mark.parametrize(
    "heading",
    [*(f"Reason `{reason}`" for reason in Reason), *(f"Alarm `{kind}`" for kind in AlarmKind)],
)
def test_there_is_a_paragraph(heading):
    """What it means, what to look at, what to do: for every reason and every alarm."""
    said = section(heading)
    labels = re.findall(r"^\*\*(.+?)\.\*\* \S", said, re.MULTILINE)
    assert labels == ["Means", "Look at", "Do"]


def test_no_paragraph_is_about_something_that_is_gone():
    headings = set(re.findall(r"^### (?:Reason|Alarm) `(\w+)`$", RUNBOOK, re.MULTILINE))
    assert headings == {*Reason, *AlarmKind}


def test_every_link_leads_somewhere():
    links = set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK))
    assert links <= anchors()


def test_every_metric_that_is_named_exists():
    assert named_metrics(RUNBOOK) <= set(METRICS)


def test_every_command_that_is_named_exists():
    """`autoscaler policies check` and the like."""
    named = set(re.findall(r"(?:`|^ +)autoscaler ((?:config |policies )?[a-z]+)", RUNBOOK, re.MULTILINE))
    assert {"check", "explain", "status"} <= named
    for words in named:
        command = get_command(app)
        for word in words.split():
            assert word in command.commands, f"autoscaler {words}"
            command = command.commands[word]


def test_every_setting_that_is_named_exists():
    """`guards.warm_up_seconds` and the like."""
    keys = {setting.key for setting in fields()}
    known = {key.removeprefix("targets.NAME.") for key in keys}
    named = set(re.findall(r"`((?:airflow|aws|guards|http|lease|log|statsd|cloudwatch)\.[a-z_]+)`", RUNBOOK))
    assert named
    assert named <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_metrics_that_exist(rule):
    """Counters by their exposed names, labels and values that are really there."""
    expression = rule["expr"]
    asked = named_metrics(expression)
    assert asked
    assert asked <= set(METRICS)
    assert all(METRICS[name].kind is not Histogram for name in asked)
    assert all(name.endswith("_total") is (METRICS[name].kind is Counter) for name in asked)
    labels = {METRICS[name].labels for name in asked}
    for label, _, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', expression):
        assert any(label in each for each in labels), f"{label} is no label of {asked}"
        possible = {
            "kind": {*AlarmKind},
            "reason": {*Reason},
            "result": {"applied", "refused", "unknown", "done"},
        }
        assert set(value.split("|")) <= possible[label]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_leads_to_its_paragraph(rule):
    """Summary, severity, and a link that exists, for every kind of alarm that it may be about."""
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in {"page", "warning", "info"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert text(page) == RUNBOOK
    kinds = AlarmKind if "{{ $labels.kind }}" in anchor else [""]
    assert {anchor.replace("{{ $labels.kind }}", kind) for kind in kinds} <= anchors()
    shown = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
    assert set(shown) <= LABELS


def test_the_rules_cover_what_must_not_go_unnoticed():
    """Silence, blindness, refusal, and a size that does not suffice."""
    wanted = {
        "autoscaler_acting",
        "autoscaler_alarm",
        "autoscaler_capacity_known",
        "autoscaler_demand_credible",
        "autoscaler_demand_oldest_wait_seconds",
        "autoscaler_failures_total",
        "autoscaler_holds_total",
        "autoscaler_leader",
        "autoscaler_last_tick_timestamp_seconds",
        "autoscaler_reloads_total",
        "autoscaler_writes_total",
    }
    assert wanted <= named_metrics(" ".join(rule["expr"] for rule in RULES))
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
