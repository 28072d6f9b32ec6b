"""The settings by which a node runs (`gateway.toml`), and how this and the other configuration files are
read. An unknown key is an error."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from gateway.config.bad_settings import BadSettings
from gateway.config.connections import AmqpSettings, BackendSettings, PartnerSettings, PushSettings, Section
from gateway.config.monitoring import AlarmSettings, MetricsSettings, TracingSettings
from gateway.model.faults import printable
from gateway.model.policy import Policy
from gateway.model.routes import Routes

_NAME: Final = re.compile(r"[^\W_][\w.-]{0,63}")  # used as a folder's name and as a segment of a URL


class SftpSettings(Section):
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(2222, ge=0, le=65535, description="port to listen on; 0 takes a free one")


class JudgingSettings(Section):
    workers: int = Field(0, ge=0, le=256, description="worker processes; 0 takes one for each core")
    seconds: float = Field(
        60,
        gt=0,
        description="CPU seconds for one message, and one more for each 10 MB of it",
    )
    memory: int = Field(
        768, ge=1, description="MB that one message may use in a worker, in addition to the worker's own"
    )


class DiskSettings(Section):
    reserve_percent: float = Field(
        5,
        ge=0,
        le=50,
        description="percent of free disk below which only small packages are accepted; below half, none",
    )


class OutboxSettings(Section):
    budget_hours: float = Field(
        72, gt=0, le=8760, description="hours that a delivery is retried before it is held"
    )


def _is_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has letters, digits and ._- only, begins with a letter or digit, 64 at most")
    return name


Name = Annotated[str, AfterValidator(_is_name)]


class Settings(Section):
    sftp: SftpSettings = SftpSettings()
    amqp: AmqpSettings | None = Field(None, description="the AMQP channel; without it there is none")
    judging: JudgingSettings = JudgingSettings()
    outbox: OutboxSettings = OutboxSettings()
    disk: DiskSettings = DiskSettings()
    partner: dict[Name, PartnerSettings] = Field(
        default_factory=dict,
        description="parties that host their folders themselves",
    )
    push: PushSettings | None = Field(
        None, description="listener for answers that back-ends of kind http push"
    )
    metrics: MetricsSettings | None = Field(
        None, description="metrics and health over HTTP; without it there are none"
    )
    alarms: AlarmSettings = AlarmSettings()
    tracing: TracingSettings | None = Field(None, description="OpenTelemetry; without it there is none")
    backend: dict[Name, BackendSettings] = Field(
        default_factory=dict, description="back-ends by the name that routes use"
    )

    @model_validator(mode="after")
    def _hears_what_is_pushed(self) -> Self:
        pushed = [name for name, each in self.backend.items() if getattr(each, "answers", "") == "push"]
        if pushed and self.push is None:
            raise ValueError(f"answers of {', '.join(pushed)} are pushed, and there is no [push] to listen")
        return self


UNKNOWN_KEY: Final = "unknown key"

Model = TypeVar("Model", bound=BaseModel)


def read_settings(name: str, text: str) -> Settings:
    """The settings in `text`; `name` is the file's, for errors. Raises `BadSettings`."""
    return _read(name, text, Settings)


def read_policy(name: str, text: str) -> Policy:
    """The policy in `text`. Raises `BadSettings`, also for a file that is empty or cut off."""
    return _read(name, _written(name, text, "# end of policy.toml"), Policy)


def read_routes(name: str, text: str) -> Routes:
    """The routes in `text`. Raises `BadSettings`, also for a file that is empty or cut off."""
    return _read(name, _written(name, text, "# end of routes.toml"), Routes)


def decoded(name: str, content: bytes) -> str:
    """The text of a file. Raises `BadSettings` for one that is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadSettings(f"{PurePath(name).name}: not UTF-8 at byte {error.start}") from None


def _written(name: str, text: str, end: str) -> str:
    # An editor or a full disk has emptied the file. A policy of defaults would demand nothing, and without a
    # route every declaration would be rejected for good.
    if not toml(name, text):
        short = PurePath(name).name
        raise BadSettings(f"{short}: nothing is written in it", f"{short}：文件是空的")
    # A file that is cut off between two tables is valid TOML. The head of a shipped file names its last line.
    if end in text and end not in map(str.strip, text.splitlines()):
        short = PurePath(name).name
        raise BadSettings(
            f"{short}: it was cut off: there is no line `{end}`", f"{short}：文件不完整，缺少结尾行 {end}"
        )
    return text


def _read(name: str, text: str, model: type[Model]) -> Model:
    return checked(name, toml(name, text), model)


def toml(name: str, text: str) -> dict[str, Any]:
    """Parses TOML. Raises `BadSettings` with file and line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{PurePath(name).name}: {error}") from None


def checked(name: str, data: dict[str, Any], model: type[Model]) -> Model:
    """The data as a `model`. Raises one `BadSettings` that names each wrong key."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(
            ": ".join(filter(None, _wrong(data, error_detail))) for error_detail in error.errors()
        )
        raise BadSettings(f"{PurePath(name).name}: {wrong}") from None


def _wrong(data: Any, error: ErrorDetails) -> tuple[str, str]:
    return printable(".".join(_place(data, error["loc"], of_all=error["type"] == "value_error"))), complaint(
        error
    )


def _place(data: Any, steps: Sequence[int | str], *, of_all: bool) -> Iterator[str]:
    """The key's path as it stands in the file, without the discriminator values (kinds) that pydantic inserts
    for a union. Empty for an error of the whole file. `of_all` says that the error may be about a whole
    section, whose last step is then its kind."""
    if not steps:
        return
    if steps[-1] == "[key]":  # that of a name, which is the step before
        steps = steps[:-1]
    for step in steps[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            continue
        yield str(step)
    if not of_all or not isinstance(data, dict) or steps[-1] in data:
        yield str(steps[-1])


def complaint(error: ErrorDetails) -> str:
    """What is wrong; in our own words where pydantic's would puzzle an administrator."""
    match error["type"]:
        case "extra_forbidden":
            return UNKNOWN_KEY
        case "union_tag_not_found":
            return f"{error['ctx']['discriminator']} is missing"
        case "union_tag_invalid":
            return f"{error['ctx']['discriminator']} must be one of {error['ctx']['expected_tags']}"
        case _:
            return error["msg"].removeprefix("Value error, ")
