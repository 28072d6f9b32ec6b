"""Names of what is not whole yet, as clients that are in use make them."""

from typing import Final

# Each is what the client writes while it sends `a.xml`, or what lies there after it was broken off.
UNFINISHED: Final = (
    *("a.xml.tmp", "a.TEMP", "a.xml.part", "a.xml.FilePart"),  # our own clients of before; WinSCP
    *("a.xml.partial", "a.xml.AbC123.partial"),  # rclone
    *(".in.a.xml", ".a.xml.XyZ987", ".a.xml"),  # lftp, rsync, NiFi
    *(
        "a.xml.writing",
        "a.xml.uploading",
        "a.xml.upload",
        "a.xml.inprogress",
    ),  # Spring and others
    *("a.xml.crdownload", ".a.xml.swp", "a.xml.swp", "a.xml.lock"),  # browsers, editors, offices
    *("~a.xml", "a.xml~"),
)
