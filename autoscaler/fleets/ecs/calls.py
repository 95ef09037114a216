"""One call of AWS, and what its failure means."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from autoscaler.core.plain import one_line

CODE_LENGTH, MESSAGE_LENGTH = 100, 300
NEVER_SENT = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, ParamValidationError)
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that brought no usable answer."""

    said: str
    """One line: the operation and what came back."""
    definite: bool
    """True: AWS said no or was never asked, so nothing was done.  False: it may have been done."""
    missing_grant: str = ""
    """The IAM action that is not allowed, if that is the reason."""

    @property
    def why(self) -> str:
        """What came back and, where it is known, what to do."""
        return f"{self.said}; grant {self.missing_grant}" if self.missing_grant else self.said


async def called(action: str, call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any] | Failure:
    """The answer to a call, or how it failed; `action` is its IAM name (`ecs:UpdateService`)."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001  # botocore's parsers raise anything on a broken body
        return failure(action, error)


def failure(action: str, error: Exception) -> Failure:
    """What an exception of a call means for whoever called."""
    operation = action.partition(":")[2]
    if not isinstance(error, ClientError):
        # A reset connection comes as "could not connect": only these were certainly never sent.
        definite = isinstance(error, NEVER_SENT)
        return Failure(
            f"{operation}: {type(error).__name__}: {one_line(str(error), MESSAGE_LENGTH)}", definite
        )
    said = error.response.get("Error", {})
    code = one_line(str(said.get("Code", "no code")), CODE_LENGTH)
    message = one_line(str(said.get("Message", "")), MESSAGE_LENGTH)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    definite = 400 <= status < 500 and status != 408
    return Failure(f"{operation}: {code}: {message}", definite, action if code in DENIED else "")
