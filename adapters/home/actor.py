"""The operating-system user of this process, who is recorded as the actor."""

import os
import pwd


def actor() -> str:
    """The user's name by its real uid; the uid as digits if it has no name. The environment is not asked:
    anybody can set LOGNAME, and could then pose as the second person of an approval."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
