"""The warning of commands that say or do something by the files of a home, while its node runs by others."""

import typer

from adapters.cli.output import Language
from adapters.home.differing import differing
from adapters.home.home import Home
from gateway.config.bad_settings import BadSettings
from gateway.model.faults import printable
from gateway.model.waits import Words


def warn_of_differing(home: Home, lang: Language = Language.EN) -> None:
    """On standard error, before something is said or done by the files: that the node runs by others."""
    try:
        different = differing(home)
    except (BadSettings, OSError) as error:
        different = Words(
            f"网关所用的与现有文件无法比较（{error}）",
            f"what the node runs by cannot be compared with the files: {error}",
        )
    if different is not None:
        said = different.zh if lang is Language.ZH else different.en
        typer.echo(f"gateway: {printable(said, 1000)}", err=True)
