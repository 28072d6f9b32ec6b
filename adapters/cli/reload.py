"""`gateway reload`: makes a running node reload policy, routes, keys and certificates."""

import os
import signal
import time
from typing import Any, Final

from adapters.cli.exit_codes import NO, UNREACHABLE
from adapters.cli.output import (
    HomeOption,
    JsonOption,
    LangOption,
    Language,
    cell,
    console,
    fail,
    opened,
    say_json,
)
from adapters.home.actor import actor
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.store.read.event_log import end_of_log
from adapters.store.write.in_force import NodeEvent, Noted, note, noted

_WITHIN: Final = 60.0  # seconds for workers to restart
_EVERY: Final = 0.05


def reload(home: HomeOption, lang: LangOption, as_json: JsonOption = False) -> None:
    """Make the running node reload policy.toml, routes.toml, the host keys of the SFTP server, and the keys
    and certificates that gateway.toml names. All or nothing: if the node keeps what it had, the command gives
    the reason and exits with 1.

    Changes in gateway.toml itself are named; they need a restart. Parties are changed by `gateway parties
    import`, which needs no reload.

    Example: gateway reload --home /srv/gateway
    """
    with opened(home) as base:
        result = _reloaded(base)
    if as_json:
        say_json(result)
    elif result["reloaded"]:
        for line in _in_words(result, lang):
            console().print(cell(line))
    if not result["reloaded"]:
        if lang is Language.ZH:
            fail(NO, f"未启用，网关继续使用原有配置：{result['why_zh']}")
        fail(NO, f"the node goes on with what it had: {result['why']}")


def _reloaded(home: Home) -> dict[str, Any]:
    process = home.served_by()
    if not process:
        fail(UNREACHABLE, f"no gateway serves {home.path}: what its files say counts from its start on")
    who, now = actor(), utc_now()
    with home.store() as database:
        with database.engine.connect() as reader:
            before = end_of_log(reader)
        database.submit(lambda to: note(to, NodeEvent.ASKED, who, now)).result()
    os.kill(process, signal.SIGHUP)
    outcome = _outcome(home, before)
    return {
        "reloaded": outcome.event is not NodeEvent.KEPT,
        "at": outcome.at.isoformat(),
        "why": outcome.detail.get("why"),
        "why_zh": outcome.detail.get("why_zh"),
        "changed": outcome.detail.get("changed", []),
        "needs_restart": outcome.detail.get("needs_restart", []),
        "before": outcome.detail.get("before", {}),
        "digests": dict(outcome.digests),
    }


def _outcome(home: Home, before: int) -> Noted:
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        with home.reading() as reader:
            record = noted(reader, before)
        if record is not None:
            return record
        if home.served_by() is None:
            fail(UNREACHABLE, f"the gateway that served {home.path} has ended")
        time.sleep(_EVERY)
    return fail(UNREACHABLE, f"the node said nothing within {_WITHIN:.0f} s; see its log")


def _in_words(result: dict[str, Any], lang: Language) -> list[str]:
    in_zh = lang is Language.ZH
    if result["changed"]:
        lines = ["已启用：" if in_zh else "reloaded:"]
    else:
        lines = ["已启用，没有变更" if in_zh else "reloaded; nothing was different"]
    lines += [
        f"  {name}  {result['before'].get(name, '-')[:12]} → {result['digests'].get(name, '-')[:12]}"
        for name in result["changed"]
    ]
    if result["needs_restart"]:
        keys = ", ".join(result["needs_restart"])
        lines.append(
            f"gateway.toml 中有变更，重启后启用：{keys}"
            if in_zh
            else f"different in gateway.toml, from the next start on: {keys}"
        )
    return lines
