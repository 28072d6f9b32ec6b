"""The error for a configuration that cannot be used."""


class BadSettings(Exception):
    """A configuration file that cannot be used; the text names the file, the key and what is wrong. `zh` says
    the same in Chinese."""

    def __init__(self, en: str, zh: str = "") -> None:
        super().__init__(en)
        self.zh = zh or f"配置不能使用（{en}）"
