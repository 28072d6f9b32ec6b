"""Migrates a database to the tables of this release."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, inspect, text

NEWEST: Final = "0018"


def migrate(path: Path, to: str = NEWEST) -> None:
    """Runs the missing migrations in one transaction; does nothing if there are none. Tests create the
    databases of earlier releases with another `to`."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            if inspect(connection).has_table("alembic_version"):
                present = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
                if present == to:
                    return
        from alembic import command  # imported here only: a node that has nothing to migrate need not load it
        from alembic.config import Config

        with engine.begin() as connection, as_file(files("adapters.store") / "migrations") as scripts:
            config = Config()
            config.set_main_option("script_location", str(scripts))
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    finally:
        engine.dispose()
