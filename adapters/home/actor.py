"""Who acts: the operating-system user of this process."""

import os
import pwd


def actor() -> str:
    """The user's name by its real uid; the uid as digits where it has no name. The environment is not asked:
    anybody can set LOGNAME, and a second person would be whoever one likes to be."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
