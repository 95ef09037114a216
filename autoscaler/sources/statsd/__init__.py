"""Airflow's own StatsD metrics as a source: packets, who sent them, the server, the reading."""

from autoscaler.sources.statsd.relay import host_and_port
from autoscaler.sources.statsd.server import StatsdServer, statsd_server
from autoscaler.sources.statsd.source import StatsdSource

__all__ = ["StatsdServer", "StatsdSource", "host_and_port", "statsd_server"]
