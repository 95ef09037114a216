"""Which Celery node is which worker: node names are made of the names that ECS knows a worker by.

Celery calls a worker `celery@HOST` unless it is told otherwise, with HOST from `socket.gethostname()`: on
Fargate the private DNS name.  Where the workers are started with `--celery-hostname` (or `-n`) HOST may be
the address or the ECS task's id, as an entry point reads it from the container metadata.  Airflow's own
`[core] hostname_callable` names hosts in its database alone, and is matched there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

DEFAULT_PATTERN = "celery@{host}"
PLACE = "{host}"


def names_of(hosts: Sequence[str], pattern: str = DEFAULT_PATTERN) -> tuple[str, ...]:
    """Every node name that the worker with these names may have."""
    return tuple(pattern.replace(PLACE, host) for host in hosts)


def distinct(
    hosts: Mapping[str, Sequence[str]], pattern: str = DEFAULT_PATTERN
) -> dict[str, tuple[str, ...]]:
    """The node names of each worker, without those that would fit another worker too."""
    names = {worker: names_of(each, pattern) for worker, each in hosts.items()}
    uses = Counter(name for each in names.values() for name in set(each))
    return {worker: tuple(name for name in each if uses[name] == 1) for worker, each in names.items()}


def node_of(names: Sequence[str], answered: Collection[str]) -> str | None:
    """The node that answered for a worker.  None: none, or several (then nobody knows what they hold)."""
    found = [name for name in names if name in answered]
    return found[0] if len(found) == 1 else None
