"""Exit codes of commands (docs/for-operators.md, "Commands"); scripts rely on them."""

from typing import Final

NO: Final = 1  # the answer is no
USAGE: Final = 2
UNREACHABLE: Final = 3  # the home is locked, or a server cannot be reached
INTERNAL: Final = 4
WAITS: Final = 5  # written down, for a second person to approve
