"""How long a back-end asked to be spared (Retry-After), kept in a file so that no restart forgets it."""

import contextlib
import os
from pathlib import Path
from time import time
from typing import Final

LONGEST: Final = 3600.0  # seconds that are kept of a longer one


class Rest:
    """Of the back-end whose folder this is. An operator's word ends it (`end`), also beside the node."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "not-before"

    def left(self) -> float:
        """Seconds that are left. None of what is further ahead than any may be, as it was written before the
        clock was set back, nor of what is no time."""
        try:
            seconds = float(self._file.read_text("ascii")) - time()
        except (OSError, ValueError):
            return 0.0
        return seconds if 0 < seconds <= LONGEST else 0.0

    def ask(self, seconds: float) -> None:
        """It asked for so many; what was asked before stands where it asks for none. A disk that cannot keep
        it changes nothing of what was said of the submission."""
        if seconds <= 0:
            return
        written = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            written.write_text(f"{time() + min(seconds, LONGEST):.3f}", "ascii")
            os.replace(written, self._file)

    def end(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._file.unlink()
