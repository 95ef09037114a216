"""ECS's rate limits: token buckets per kind of call."""

from __future__ import annotations


class TokenBucket:
    """`burst` calls at once, refilled at `per_second`."""

    def __init__(self, burst: float, per_second: float) -> None:
        self.burst = burst
        self.per_second = per_second
        self._tokens = burst
        self._at: float | None = None

    def take(self, at: float) -> bool:
        """Whether one more call is allowed at this instant."""
        self._refill(at)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def seconds_until_next(self, at: float) -> float:
        """How long until one call is allowed again."""
        self._refill(at)
        return max(0.0, (1 - self._tokens) / self.per_second)

    def _refill(self, at: float) -> None:
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + max(0.0, at - self._at) * self.per_second)
        self._at = at


def ecs_limits() -> dict[str, TokenBucket]:
    """A bucket for every limited operation; some share one (the limits AWS documents)."""
    service_read = TokenBucket(100, 20)
    service_modify = TokenBucket(50, 5)
    task_read = TokenBucket(100, 20)
    protection = TokenBucket(200, 80)
    return {
        "DescribeServices": service_read,
        "UpdateService": service_modify,
        "CreateService": service_modify,
        "ListTasks": task_read,
        "DescribeTasks": task_read,
        "GetTaskProtection": protection,
        "UpdateTaskProtection": protection,
    }


def fargate_launches() -> TokenBucket:
    """Fargate's launches: 100 at once, then 20 a second."""
    return TokenBucket(100, 20)
