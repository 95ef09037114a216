"""The daemon's printed lines: a disk that is full must not stop it, a reader that is gone ends it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TextIO


class SteadyOutput:
    """A text stream whose failures raise nothing.

    What a full disk does not take is lost.  When whoever read a pipe is gone (`| head`), the process is
    asked to stop as by SIGTERM: it ends in order, with no write half-way.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes what can be written."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._leave()
        except OSError:
            pass
        return len(text)

    def flush(self) -> None:
        """Hands on what can be handed on."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._leave()
        except OSError:
            pass

    def _leave(self) -> None:
        # What is still buffered must find a taker, or the interpreter complains at its end.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())
        signal.raise_signal(signal.SIGTERM)
