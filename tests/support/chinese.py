"""Every Chinese text that a person meets, and the words of the trade that are not used in one.

Codes and customs' own words (the lists under `codes/`, and what the sandbox says as customs does) stay as
they were published.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from gateway.families.families import Families
from gateway.model.fault_catalogue import Fault

ROOT: Final = Path(__file__).parents[2]
HAN: Final = re.compile("[\u4e00-\u9fff]")

# What is not said, and what is said instead. Where a word is right in another sense, what stands around it
# is excepted.
UNUSUAL_TERMS: Final = {
    # who
    r"经营单位|贸易商": "境内收发货人",
    r"(?<![境内外口])收发货人": "境内收发货人",
    r"(?<!生产)货主|消费使用/|消费使用单位(?!/生产销售单位)": "消费使用单位/生产销售单位",
    r"报关行|经纪人": "报关企业",
    r"申报人(?!员)|报关员(?!联系方式)": "申报单位、申报人员、报关人员",
    r"甲方|乙方|申报方": "委托方、被委托方",
    r"监管场所|监管仓库": "海关监管作业场所",
    r"贵方|贵公司|您": "贵单位",
    r"(?<!网关)操作员(?!卡|姓名|IC)": "网关值班人员",
    # which number
    r"主管海关": "申报地海关",
    r"企业编号|企业内部编号|客户端报关单编号|参考号": "客户端编号",
    r"统一编码|统一代码|信用码|海关编号(?!，)|企业代码": "统一社会信用代码、海关编码、报关单号",
    r"数据中心统一编号|流水号|报关单编号|入境号": "统一编号、报关单号",
    r"商品序号|商品行|行号": "商品项号",
    r"第[一二]法定数量|(?<!法定)第[一二]计量单位|申报数量": "法定第一数量",
    r"贸易方式(?!（即监管方式）)|征税方式(?!（旧版字段）)|手册号": "监管方式、征免方式、备案号",
    r"起运国|启运国/|贸易国别|原产国(?!（地区）)|最终目的国(?!（地区）)": "启运国（地区）等栏名",
    r"提单号|存放地点(?<!货物存放地点)|货场|公斤": "提运单号、货物存放地点、场地、千克",
    r"随附单证类别|单据类别(?<!随附单据类别)": "随附单据类别",
    r"(?<!随附)(?<!申请)单证(?:代码|编号)": "随附单证代码、随附单证编号",
    # what is done
    r"已接受|被接受|将接受|网关接受": "受理",
    r"被(?:接收|审核|退|挂起)": "不用“被”",
    r"退回(?!修改)|驳回|(?<!对方)已拒绝|被拒绝": "拒收、人工拒收、退单、拒绝",
    r"审核(?!认定|通过)|(?<!报关单)重审": "校验、重新校验",
    r"验证签名|签名验证|校验签名": "验签",
    r"投递|送往|(?<!端口)转发|发往": "递交",
    r"投放|送交": "送达",
    r"挂起(?<!海关挂起)|暂扣": "暂停处理",
    r"再发(?!送)|重新提交|改正|重新发送": "重发、更正后重发",
    r"纸单|需交税费|三方协议(?!）)": "现场交单、应缴税费、无纸化签约（三方协议）",
    r"委托关系|授权书|代理协议": "代理报关委托书、委托报关协议",
    r"帐号|帐户|账号": "账户",
    r"消息代理|后端|路由(?!键)": "消息服务器、海关接口",
    r"无需|须人工|提交键|企业等级": "无须、请人工、幂等键、企业管理类别",
    # how
    r"UTC|(?<!如 )\d{4}-\d\d-\d\d": "北京时间，2026年12月2日",
    r"单位单位|所示|不认识": "通顺的句子",
}  # fmt: skip
# Half-width stops beside Chinese; letters of our own between Chinese words.
FORM: Final = {
    r"[\u4e00-\u9fff][,;:!?(]|[,;:!?)][\u4e00-\u9fff]": "全角标点",
    r"[\u4e00-\u9fff）”] ?[:;,] ": "全角标点",
    r"。；|；。|，。|。。|：。": "一个标点",
    r"(?<!/ )\b(?:message|error|warning|line \d|agreement|document|mandate|declaration|producing)\b": "中文",
}


def misused(text: str) -> list[str]:
    """What of a text is not said so."""
    return [
        f"{match[0]!r} in {text!r}: {instead}"
        for wrong, instead in (UNUSUAL_TERMS | FORM).items()
        if (match := re.search(wrong, text)) is not None
    ]


def catalogue() -> dict[str, str]:
    return {fault.code: fault.zh for fault in Fault}


def rules() -> dict[str, str]:
    types = Families.load(files("schemas")).types
    return {rule.id: rule.zh for type_ in types if type_.rules is not None for rule in type_.rules.assertions}


def written_in_code() -> Iterator[tuple[str, str]]:
    """The string constants with Chinese in them, the pieces of an f-string joined, and where they stand."""
    for path in sorted(file for folder in ("gateway", "adapters") for file in (ROOT / folder).rglob("*.py")):
        where = str(path.relative_to(ROOT))
        if where.startswith("adapters/sandbox/") or where == "gateway/model/trade_words.py":
            continue  # the sandbox speaks as customs does, and lists have customs' own words
        yield from ((f"{where}:{line}", text) for line, text in _texts(ast.parse(path.read_text("utf-8"))))


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    inner, docs = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(child) for child in ast.walk(node) if child is not node}
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docs.add(id(node.value))
    for node in ast.walk(tree):
        if id(node) in inner | docs:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(value.value) if isinstance(value, ast.Constant) else "X" for value in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if HAN.search(text):
            yield node.lineno, text


def english_in_chinese() -> Iterator[str]:
    """The findings whose detail has English words in it and no Chinese ones beside it."""
    for path in sorted(file for folder in ("gateway", "adapters") for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "finding":
                keywords = {keyword.arg: keyword.value for keyword in node.keywords}
                detail = keywords.get("detail")
                if detail is not None and "detail_zh" not in keywords and _has_words(detail):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}"


def _has_words(detail: ast.expr) -> bool:
    literal = [node.value for node in ast.walk(detail) if isinstance(node, ast.Constant)]
    words = re.compile(r"(?<![A-Za-z])[a-z]{2,}:? |(?<![#A-Za-z])[a-z]{3,}$")
    return any(isinstance(text, str) and words.search(text) for text in literal)


def configured() -> Iterator[tuple[str, str]]:
    """Sources and names of policy, texts of notices, samples."""
    for name in ("config/policy.toml", "config/samples/samples.toml", "schemas/cn-dec/1/notices.toml"):
        yield from (
            (f"{name} {key}", text)
            for key, text in _of(tomllib.loads((ROOT / name).read_text("utf-8")))
            if not key.endswith(".repeats")  # customs' own words
        )


def _of(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _of(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from _of(item, key)
    elif isinstance(value, str) and HAN.search(value):
        yield key, value


def in_schemas() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "schemas").rglob("*.xsd")):
        for text in re.findall(r'<xs:documentation xml:lang="zh">([^<]*)<', path.read_text("utf-8")):
            yield path.name, text


def documents() -> Iterator[tuple[str, str]]:
    """The lines of the Chinese documents; without what is generated from lists and what stands in code."""
    for path in sorted((ROOT / "docs").glob("*.zh.md")):
        text = re.sub(r"<!-- generated.*?<!-- end of [^>]*-->", "", path.read_text("utf-8"), flags=re.DOTALL)
        for number, line in enumerate(text.splitlines(), 1):
            read = re.sub(r"`[^`]*`|\]\([^)]*\)", "X", line)
            if HAN.search(read):
                yield f"{path.name}:{number}", read
