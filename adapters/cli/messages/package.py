"""`gateway messages package`: what a sender sent, byte for byte."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from adapters.blobs.packages import Packages
from adapters.cli.exit_codes import NO, UNREACHABLE
from adapters.cli.messages.lookup import MessageArgument, find_message
from adapters.cli.output import HomeOption, JsonOption, fail, opened, say_json


def package(
    message: MessageArgument,
    to: Annotated[Path, typer.Option(help="The file to write; it must not exist.", show_default=False)],
    home: HomeOption,
    as_json: JsonOption = False,
) -> None:
    """Write the package of a message to a file, byte for byte as it was sent.

    Only you can read the file: it has what its sender declared.

    Example: gateway messages package TB20261102000001 --to held.zip --home /srv/gateway
    """
    with opened(home) as base, base.reading() as reader:
        row = find_message(reader, message)
        try:
            body = Packages.of(base, lambda: nullcontext(reader)).open(row.sha256)
        except KeyError:
            fail(NO, f"{row.id} has no package: it is not what a party sent, or its package is missing")
        try:
            with body, open(to, "xb", opener=_private) as file:
                while chunk := body.read(1024 * 1024):
                    file.write(chunk)
        except OSError as error:
            fail(UNREACHABLE, f"{to}: {error.strerror}")
    if as_json:
        say_json({"message": row.id, "file": str(to), "size": row.size, "sha256": row.sha256})
    else:
        typer.echo(f"{to}: {row.size} bytes of {row.id}, SHA-256 {row.sha256}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
