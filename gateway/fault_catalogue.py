"""Every fault there is, with its sentences: see `gateway.faults`, by which everybody knows them."""

from enum import Enum


class Fault(Enum):
    """One entry = code, Chinese sentence, English sentence. Codes never change their meaning.

    `{detail}` in a sentence is filled from the finding; where it stands for a value of the sender's, the
    value is masked first.
    """

    # the package
    PACKAGE_UNREADABLE = (
        "package-unreadable",
        "文件既不是 ZIP 也不是 XML，无法读取。",
        "The file is neither a zip nor an XML document.",
    )
    PACKAGE_TOO_LARGE = (
        "package-too-large",
        "报文包超过允许的大小（{detail}）。",
        "The package is larger than allowed ({detail}).",
    )
    DOCUMENT_TOO_LARGE = (
        "document-too-large",
        "XML 报文超过允许的大小（{detail}）。",
        "The XML document is larger than allowed ({detail}).",
    )
    ZIP_BROKEN = ("zip-broken", "ZIP 文件已损坏：{detail}。", "The zip is broken: {detail}.")
    ZIP_ENCRYPTED = (
        "zip-encrypted",
        "ZIP 中的文件已加密，请发送未加密的文件。",
        "An entry of the zip is encrypted; send it unencrypted.",
    )
    ZIP_PATH = (
        "zip-path",
        "ZIP 中的文件名不得含有目录、绝对路径或“..”。",
        "Names in the zip must be flat: no folders, no absolute paths, no '..'.",
    )
    ZIP_SYMLINK = (
        "zip-symlink",
        "ZIP 中不得含有链接或特殊文件。",
        "The zip must not hold links or special files.",
    )
    ZIP_DUPLICATE = (
        "zip-duplicate",
        "ZIP 中有同名文件。",
        "Two entries of the zip have the same name.",
    )
    ZIP_OVERLAP = (
        "zip-overlap",
        "ZIP 中的数据区相互重叠。",
        "Entries of the zip overlap one another.",
    )
    ZIP_TOO_MANY = (
        "zip-too-many-entries",
        "ZIP 中的文件过多（{detail}）。",
        "The zip has too many entries ({detail}).",
    )
    ZIP_RATIO = (
        "zip-ratio",
        "ZIP 的压缩比过高，疑为压缩炸弹（{detail}）。",
        "The zip expands too far, as a zip bomb does ({detail}).",
    )
    ZIP_NAME = (
        "zip-name",
        "ZIP 中的文件名不是 UTF-8 或 GBK 编码，或含有控制字符，或为空，或过长。",
        "A name in the zip is neither UTF-8 nor GBK, has control characters, or is empty or too long.",
    )
    ZIP_METHOD = (
        "zip-method",
        "ZIP 的压缩方式不受支持（{detail}）；请使用 Deflate。",
        "The zip uses a way of compression that is not accepted ({detail}); use Deflate.",
    )
    ZIP_HIDDEN = (
        "zip-hidden-data",
        "ZIP 中有不属于任何文件的数据。",
        "The zip holds bytes that belong to none of its entries.",
    )
    ZIP_NO_DOCUMENT = ("zip-no-document", "ZIP 中没有 XML 报文。", "The zip holds no XML document.")
    ZIP_MANY_DOCUMENTS = (
        "zip-many-documents",
        "ZIP 中有多个 XML 报文，只能有一个。",
        "The zip holds more than one XML document; it must hold one.",
    )
    ZIP_UNEXPECTED = (
        "zip-unexpected-entry",
        "ZIP 中只能有一个 XML 和 PDF 文件。",
        "The zip may hold one XML document and PDF files only.",
    )

    # the XML document
    XML_MALFORMED = (
        "xml-malformed",
        "XML 格式错误：{detail}。",
        "The XML is not well-formed: {detail}.",
    )
    XML_ENCODING = (
        "xml-encoding",
        "编码不被接受或与声明不符（{detail}）；请使用 UTF-8、GBK 或 GB18030。",
        "The encoding is not accepted or is not the declared one ({detail}); use UTF-8, GBK or GB18030.",
    )
    XML_DTD = (
        "xml-dtd",
        "XML 不得含有 DOCTYPE 或实体定义。",
        "The XML must not hold a DOCTYPE or entities.",
    )
    XML_XINCLUDE = ("xml-xinclude", "XML 不得含有 XInclude。", "The XML must not use XInclude.")
    XML_SCHEMA_LOCATION = (
        "xml-schema-location",
        "XML 不得指定 schemaLocation；网关使用自己的 XSD。",
        "The XML must not name a schemaLocation; the gateway uses its own XSD.",
    )
    XML_INSTRUCTION = (
        "xml-processing-instruction",
        "XML 根元素内不得含有处理指令。",
        "The XML must not hold processing instructions inside its root element.",
    )
    XML_NAMESPACES = (
        "xml-namespaces",
        "XML 声明的命名空间前缀过多（{detail}）。",
        "The XML declares too many namespace prefixes ({detail}).",
    )
    XML_ATTRIBUTES = (
        "xml-attributes",
        "XML 元素的属性过多（{detail}）。",
        "An element of the XML has too many attributes ({detail}).",
    )
    XML_ELEMENTS = (
        "xml-elements",
        "XML 的元素或属性过多（{detail}）。",
        "The XML has too many elements or attributes ({detail}).",
    )
    XML_DEPTH = (
        "xml-depth",
        "XML 嵌套过深（{detail}）。",
        "The XML is nested too deeply ({detail}).",
    )

    # the family and its schema
    FAMILY_UNKNOWN = (
        "family-unknown",
        "不认识的报文类型：{detail}。",
        "No message type is known by this root element: {detail}.",
    )
    SCHEMA_ELEMENT = (
        "schema-element",
        "此处不允许有该元素：{detail}。",
        "This element is not allowed here: {detail}.",
    )
    SCHEMA_MISSING = (
        "schema-missing",
        "缺少必需的内容：{detail}。",
        "Something required is missing: {detail}.",
    )
    SCHEMA_VALUE = (
        "schema-value",
        "值的类型、长度或格式不符：{detail}。",
        "The value has the wrong type, length or form: {detail}.",
    )
    SCHEMA_ATTRIBUTE = (
        "schema-attribute",
        "属性不被允许或取值不符：{detail}。",
        "The attribute is not allowed or has a wrong value: {detail}.",
    )
    RULE = ("business-rule", "不符合业务规则：{detail}", "A business rule is not met: {detail}")
    DOCUMENT_MISSING = (
        "document-missing",
        "随附单据清单中的文件不在报文包中：{detail}",
        "A document that is listed is not in the package: {detail}",
    )
    DOCUMENT_AMBIGUOUS = (
        "document-ambiguous",
        "无法确定随附单据清单所指的文件：{detail}",
        "Which file a listed document is cannot be told: {detail}",
    )
    DOCUMENT_UNLISTED = (
        "document-unlisted",
        "报文包中的文件未列入随附单据清单：{detail}",
        "A file of the package is not listed in the declaration: {detail}",
    )
    DOCUMENT_REPLACED = (
        "document-replaced",
        "同名文件后来又发送了一次，以后者为准（{detail}）。",
        "A file of the same name was sent later and counts instead ({detail}).",
    )
    PDF_UNFIT = (
        "pdf-unfit",
        "随附 PDF 不符合要求：{detail}",
        "An attached PDF does not meet the requirements: {detail}",
    )

    # who sent it
    ACCOUNT_UNKNOWN = (
        "account-unknown",
        "该账户未登记为任何企业。",
        "The account belongs to no registered party.",
    )
    WRONG_PARTY = (
        "wrong-party",
        "报文中的企业代码与发送账户所属企业不符。",
        "The message names another party than the account that sent it.",
    )
    TRADERS_DIFFER = (
        "traders-differ",
        "境内收发货人的海关编码与统一社会信用代码不属于同一企业。",
        "The customs code and the social credit code of the trader belong to two parties.",
    )
    SIGNATURE_MISSING = (
        "signature-missing",
        "该报文必须带有 XML 签名。",
        "This message must bear an XML signature.",
    )
    SIGNATURE_UNWANTED = (
        "signature-unwanted",
        "该企业约定不使用 XML 签名，但报文带有签名。",
        "This party has agreed to send no XML signature, yet the message bears one.",
    )
    SIGNATURE_FORM = (
        "signature-form",
        "签名的位置、数量或引用不符合要求：{detail}。",
        "The signature's place, number or references are not as required: {detail}.",
    )
    SIGNATURE_ALGORITHM = (
        "signature-algorithm",
        "签名算法不被接受：{detail}。",
        "The signature uses an algorithm that is not accepted: {detail}.",
    )
    SIGNATURE_INVALID = (
        "signature-invalid",
        "签名验证失败：内容在签名后被更改，或签名值不正确。",
        "The signature does not verify: the content was changed after signing, or the value is wrong.",
    )
    CERTIFICATE_UNKNOWN = (
        "certificate-unknown",
        "签名证书未为该企业登记。",
        "The signing certificate is not registered for this party.",
    )
    CERTIFICATE_EXPIRED = (
        "certificate-expired",
        "签名证书不在有效期内（{detail}）。",
        "The signing certificate is outside its validity ({detail}).",
    )
    CERTIFICATE_REVOKED = (
        "certificate-revoked",
        "签名证书已被撤销（{detail}）。",
        "The signing certificate is revoked ({detail}).",
    )

    # whether it may go paperless
    PAPERLESS_SCOPE = (
        "paperless-scope",
        "该业务当时不在通关无纸化范围内（{detail}）。",
        "This traffic is outside the paperless scope of the day ({detail}).",
    )
    PAPERLESS_CLASS = (
        "paperless-class",
        "该企业类别不适用通关无纸化（{detail}）。",
        "The enterprise's class may not go paperless ({detail}).",
    )
    PAPERLESS_CONTRACT = (
        "paperless-contract",
        "该企业未与直属海关签订无纸化三方协议（{detail}）。",
        "The enterprise has no paperless contract with the district ({detail}).",
    )
    DOCUMENTS_DUE = (
        "documents-due",
        "缺少须随报关单提交的单据：{detail}。",
        "Documents that are due with the declaration are missing: {detail}.",
    )

    # by whose agency
    AGREEMENT_MISSING = (
        "agreement-missing",
        "代理申报须有有效的代理报关委托书或委托协议（{detail}）。",
        "A broker's declaration needs an agency mandate or agreement in force ({detail}).",
    )
    AGREEMENT_ACT = (
        "agreement-act",
        "该委托协议不能再这样变更（{detail}）。",
        "This cannot happen to the agreement any more ({detail}).",
    )
    NOT_ASSOCIATION = (
        "not-association",
        "只有报关协会可以发送此类报文（{detail}）。",
        "Only the brokers' association may send such a message ({detail}).",
    )
    AGREEMENT_UNFIT = (
        "agreement-unfit",
        "所示委托协议不适用于该报关单（{detail}）。",
        "The agency agreement that is shown does not cover this declaration ({detail}).",
    )

    # what comes over AMQP, before it is a message
    AMQP_USER = (
        "amqp-user",
        "消息须带 user_id，且为以 AMQP 接收回执的已登记帐号。",
        "user_id must be set, to a registered account whose receipts go out over AMQP.",
    )
    AMQP_MESSAGE_ID = (
        "amqp-message-id",
        "消息须带 message_id（1 至 255 个可打印字符）。",
        "message_id must be set: 1 to 255 printable characters.",
    )
    AMQP_UNREADABLE = (
        "amqp-unreadable",
        "消息属性无法读取：message_id、correlation_id 须为 UTF-8，消息头须符合 AMQP。",
        "Properties cannot be read: message_id and correlation_id must be UTF-8, headers as AMQP has them.",
    )
    AMQP_CONTENT_TYPE = (
        "amqp-content-type",
        "content_type 须为 application/xml、application/zip 或取件通知的类型（{detail}）。",
        "content_type must be application/xml, application/zip or that of a claim ({detail}).",
    )
    AMQP_NAME = (
        "amqp-name",
        "消息头 name 不是可用的文件名，或与 content_type 不符（{detail}）。",
        "Header name is no usable file name, or does not agree with content_type ({detail}).",
    )
    AMQP_SIZE = (
        "amqp-size",
        "消息为空或过大（{detail}）；大文件请经 SFTP 上传后以取件通知提交。",
        "The message is empty or too large ({detail}); upload what is large over SFTP and send a claim.",
    )
    CLAIM_UNREADABLE = (
        "claim-unreadable",
        "取件通知无法读取（{detail}）。",
        "The claim cannot be read ({detail}).",
    )
    CLAIM_MISSING = (
        "claim-missing",
        "OutBox 中没有取件通知所指的未完成文件（{detail}）。",
        "OutBox has no unfinished file of this name ({detail}).",
    )
    CLAIM_OPEN = (
        "claim-open",
        "取件通知所指的文件仍在上传（{detail}）。",
        "The file of the claim is still being uploaded ({detail}).",
    )
    CLAIM_DIFFERS = (
        "claim-differs",
        "上传的文件与取件通知的大小或摘要不符（{detail}）。",
        "The uploaded file has another size or digest than the claim says ({detail}).",
    )

    # what it belongs to, and what it waits for
    DECLARATION_UNKNOWN = (
        "declaration-unknown",
        "没有找到贵单位的该报关单（{detail}）。",
        "No declaration of yours is known by these numbers ({detail}).",
    )
    DECLARATION_ENDED = (
        "declaration-ended",
        "海关已退单或删单，不能再为该报关单补交单证（{detail}）。",
        "Customs refused or deleted this declaration: nothing can be added to it ({detail}).",
    )
    AWAITED = (
        "awaited",
        "正在等待：{detail}。",
        "Waits for: {detail}.",
    )

    # what was sent before, and where it goes
    DUPLICATE_REFERENCE = (
        "duplicate-reference",
        "同一编号的报文已被接受，但内容不同；未作处理。",
        "A message with this reference was accepted before with other content; nothing was done.",
    )
    SAME_CONTENT = (
        "same-content",
        "内容与另一编号的报文相同（{detail}）。",
        "The content equals that of a message with another reference ({detail}).",
    )
    NO_ROUTE = (
        "no-route",
        "没有适用于该报文的海关路由（{detail}）。",
        "No route to customs covers this message ({detail}).",
    )
    CUSTOMS_UNREACHABLE = (
        "customs-unreachable",
        "海关系统自 {detail} 起无法接收报文；报文已被接受，待恢复后自动转发，无需重新发送。",
        "Customs cannot be reached since {detail}; the message is accepted and is handed over by itself when "
        "customs is back: do not send it again.",
    )
    DISMISSED = (
        "dismissed",
        "报文被网关操作员退回：{detail}",
        "The message was refused by an operator of the gateway: {detail}",
    )
    WAIT_EXPIRED = (
        "wait-expired",
        "等待的内容未在期限内到达：{detail}。",
        "What the message waited for did not come in time: {detail}.",
    )

    def __init__(self, code: str, zh: str, en: str) -> None:
        self.code = code
        self.zh = zh
        self.en = en
