"""What the tests of the report share: small runs with names that mean harm, and pages taken apart."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from simulations import slo
from simulations.price import parse
from simulations.promise import promise_of
from simulations.report.recorder import Recorder
from simulations.report.run_story import RunStory
from simulations.run import simulate
from simulations.score import score
from simulations.trace import trace_of
from tests.simulations.worlds import controller, service

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</script></style><b>",
    "a & b",
    "[/red]",
    "$x^2$",
)


def hostile_trace(tasks=300):
    """A task every 20 s, in queues, DAGs and a file with names that mean harm."""
    numbers = np.arange(tasks)
    return trace_of(
        20.0 * numbers,
        np.full(tasks, 90.0),
        queue=numbers % len(HOSTILE),
        queues=HOSTILE,
        dag=numbers % len(HOSTILE),
        dags=HOSTILE,
        source="<script>file</script>.csv",
    )


def story(trace=None, promise="p95 wait < 60s", *, slots=2, maximum=4):
    """A run of that trace, as a report tells it."""
    trace = hostile_trace() if trace is None else trace
    brain, seen, price = controller(slots, 1, maximum), Recorder(), parse("x86:1:2")
    result = simulate(trace, brain, service(slots), 1, on_step=seen)
    kept = None if promise is None else promise_of(slo.parse(promise), [result])
    return RunStory(result, score(result, price), seen, brain, price, kept)


class Parsed(HTMLParser):
    """A page's elements, attributes and text, as a browser would find them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.inside, self._open = [], [], {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in {"meta", "br"}:
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        tag, attributes = self._open[-1] if self._open else ("", {})
        self.inside.setdefault((tag, attributes.get("type", "")), []).append(data)

    def text(self, tag, type_=""):
        """What stands in elements of that kind, one string each."""
        return self.inside.get((tag, type_), [])
