"""The notice about a file left under an unfinished name, which its sender may believe was sent."""

from datetime import datetime

from gateway.model.china import CHINA
from gateway.model.receipt_names import receipt_name


def notice(name: str, touched: datetime, *, lost: bool = False) -> tuple[str, bytes]:
    """The name and content of the notice for the sender's InBox; they stay the same until the file is touched
    again. `lost`: a restart of the gateway has removed the file."""
    at = f"{touched.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
    zh = (
        f"文件 {name} 自北京时间 {at} 起未再写入，也未改为正式文件名，网关尚未收下。"
        "请将其改为正式文件名，或重发；不再需要的，请删除。"
    )
    en = (
        f"The file {name} was last written at {at} (Beijing time) and still has an unfinished name: the "
        "gateway has not taken it. Rename it to its final name or send it again; remove what is not wanted."
    )
    if lost:
        zh = (
            f"文件 {name}（北京时间 {at} 最后写入）在网关重启前未改为正式文件名，网关尚未收下，重启时已删除。"
            "请重发；不再需要的，请删除本提示。"
        )
        en = (
            f"The file {name}, last written at {at} (Beijing time), still had an unfinished name when the "
            "gateway was restarted: the gateway has not taken it, and has removed it. Send it again."
        )
    return receipt_name("Unfinished", name, touched).removesuffix(".xml") + ".txt", f"{zh}\n{en}\n".encode()
