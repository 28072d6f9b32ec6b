"""What libraries say in logs of their own, as lines of ours: a log of one JSON object per line stays one."""

import logging
import traceback
from typing import Final

import structlog

from gateway.model.faults import printable

# They tell of every connection that breaks; what matters of them the channels log themselves.
_SILENT: Final = ("paramiko", "aio_pika", "aiormq")
_LONGEST: Final = 300

log = structlog.get_logger()


def hear_libraries() -> None:
    """From now on their warnings and errors are told through structlog."""
    for library in _SILENT:
        logging.getLogger(library).setLevel(logging.CRITICAL)
    logging.basicConfig(level=logging.WARNING, handlers=[_Heard()], force=True)


class _Heard(logging.Handler):
    """Of an error its kind and place: its words may repeat what somebody sent."""

    def emit(self, record: logging.LogRecord) -> None:
        told = {"library": record.name, "said": printable(record.getMessage(), _LONGEST)}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            told["error"] = type(error).__name__
            if places := traceback.extract_tb(error.__traceback__):
                told["place"] = f"{places[-1].filename.rpartition('/')[2]}:{places[-1].lineno}"
        say = log.error if record.levelno >= logging.ERROR else log.warning
        say("library", **told)
