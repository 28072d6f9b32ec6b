"""Routes log output of libraries into our log, so that each line of it stays a JSON object."""

import logging
import traceback
from typing import Final

import structlog

from gateway.model.faults import printable

# These log every broken connection; the channels themselves log what matters.
_SILENT: Final = ("paramiko", "aio_pika", "aiormq")
_LONGEST: Final = 300

log = structlog.get_logger()


def hear_libraries() -> None:
    """Sends warnings and errors of libraries through structlog from now on."""
    for library in _SILENT:
        logging.getLogger(library).setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryLog()], force=True)


class _LibraryLog(logging.Handler):
    """Logs the class and place of an error, not its text, which may repeat what somebody sent."""

    def emit(self, record: logging.LogRecord) -> None:
        detail = {"library": record.name, "said": printable(record.getMessage(), _LONGEST)}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            detail["error"] = type(error).__name__
            if places := traceback.extract_tb(error.__traceback__):
                detail["place"] = f"{places[-1].filename.rpartition('/')[2]}:{places[-1].lineno}"
        say = log.error if record.levelno >= logging.ERROR else log.warning
        say("library", **detail)
