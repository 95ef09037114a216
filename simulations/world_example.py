"""A `world.toml` with everything that can be said in it."""

from __future__ import annotations

from typing import Final

EXAMPLE: Final = """\
# The world that a simulation plays in: autoscaler simulate TRACE --world world.toml
# Every line may be left out.  What is here are the defaults, and in comments what else can be said.

[airflow]
version = "3.3"  # or "2.11", or "plain": a queue without a scheduler, in queueing theory's world
# Limits hold only where they are given here: your Airflow's, if the trace is of your Airflow.
# parallelism = 32                # [core] parallelism times schedulers
# max_active_tasks = 16           # of a DAG run; {etl = 8} limits one DAG
# max_active_runs = 16            # of a DAG
# pools = {default_pool = 128, warehouse = 8}
# retries = 2                     # of a task that was lost with its worker; without: always
# queued_timeout_seconds = 600    # a task queued for longer is queued anew, and fails the third time
# Delays are seconds, a list of measured seconds, {median, spread} or {chance, seconds}.
# slot_tail = {chance = 0.52, seconds = 5}
# start_delay = [0.05, 0.1]

[service]
# Launches, from the order to the first task taken.  Also: 45 (always), [41.2, 55.0, 62.3] (measured), or
# "launches.csv": a file beside this one with a column seconds, or createdAt and startedAt of ECS tasks.
launch = {median = 59, spread = 0.2}
stop_timeout_seconds = 30         # ECS's stopTimeout: what is not done then is lost
exit_seconds = 5                  # from a leaving worker's last free slot until it is gone
before_pull_seconds = 15          # the part of a launch that Fargate does not bill
protection_seconds = 7200         # how long a scale-in protection lasts
pending_leave_first = true        # whether a scale-in takes workers that have not started first
launches_per_minute = 500         # of the service
account_launches_per_second = 20
# account_workers = 100           # the quota, in workers
never_start_share = 0             # launches that stay pending ...
give_up_seconds = 600             # ... until the service tries again
reclaims_per_hour = 0             # Spot: interruptions per hour of a worker; 0.05 is one in 20 hours
retirements_per_hour = 0

[source]
# A database sees now.  CloudWatch sees the past: period_seconds = 60, lag_seconds = [60, 180]
period_seconds = 0
lag_seconds = 0
loss = 0                          # share of looks that fail
"""
