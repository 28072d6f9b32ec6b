"""Warning of commands that use the files of a home when its running node has loaded other versions."""

import typer

from adapters.cli.output import Language
from adapters.home.differing import differing
from adapters.home.home import Home
from gateway.config.bad_settings import BadSettings
from gateway.model.faults import printable
from gateway.model.waits import Words


def warn_of_differing(home: Home, lang: Language = Language.EN) -> None:
    """Warns on standard error, before the files are used, that the running node has loaded other versions."""
    try:
        different = differing(home)
    except (BadSettings, OSError) as error:
        different = Words(
            f"网关所用的与现有文件无法比较（{error}）",
            f"what the node runs by cannot be compared with the files: {error}",
        )
    if different is not None:
        text = different.zh if lang is Language.ZH else different.en
        typer.echo(f"gateway: {printable(text, 1000)}", err=True)
