"""Task traces out of Airflow's metadata database: every try that ran, and what it had to wait for."""

from autoscaler.trace_export.assemble import Try
from autoscaler.trace_export.export import Exporter
from autoscaler.trace_export.names import Names, anonymous, plain
from autoscaler.trace_export.row import Run, Tally, TraceRow, Window, of_queues

__all__ = [
    "Exporter", "Names", "Run", "Tally", "TraceRow", "Try", "Window", "anonymous", "of_queues", "plain",
]  # fmt: skip
