"""Whether what reads outside bytes takes longer than its input grows."""

from collections.abc import Callable
from contextlib import suppress
from time import process_time
from typing import Final

from gateway.model.faults import MessageRejected

_SIZE: Final = 64 * 1024


def filled(piece: str | bytes, size: int) -> bytes:
    one = piece.encode() if isinstance(piece, str) else piece
    return one * (size // len(one))


def grows_with_its_input(function: Callable[[bytes], object], made: Callable[[int], bytes]) -> bool:
    """Four times the length takes about four times as long. `made` gives the input of about such a length."""
    short, long = made(_SIZE), made(4 * _SIZE)
    _seconds(function, made(1000))
    # Sixteen times as long would be the square. Measured again where it seems so: others use the machine.
    return any(_seconds(function, long) < 8 * _seconds(function, short) + 0.05 for _measured in range(3))


def _seconds(function: Callable[[bytes], object], data: bytes) -> float:
    began = process_time()
    with suppress(MessageRejected):
        function(data)
    return process_time() - began
