"""Where an operator's orders are kept, and who may give them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, SecretStr, model_validator

from autoscaler.orders.token import SHORTEST
from autoscaler.settings.section import Name, Section


def _long_enough(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value().strip()) < SHORTEST:
        raise ValueError(f"it should have at least {SHORTEST} characters")
    return token


class Orders(Section):
    """`autoscaler pause`, `resume` and `override`.  Without a token nobody can give orders."""

    path: Name | None = None
    """A file that keeps orders over a restart; on a disk that survives one, and that all daemons of a lease
    share."""
    table: Name | None = None
    """A DynamoDB table that keeps them, with the string partition key `lease`; it may be `lease.table`."""
    token: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    """Whoever knows it may give orders; at least 16 characters.  A secret."""
    token_file: str | None = None
    """A file that holds the token; read with every order."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("give one of token and token_file, not both")
        if self.path is not None and self.table is not None:
            raise ValueError("give one of path and table, not both")
        if (
            self.path is None
            and self.table is None
            and (self.token is not None or self.token_file is not None)
        ):
            raise ValueError("a token needs path or table too: where orders survive a restart")
        return self
