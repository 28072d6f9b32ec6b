"""All faults with their sentences. Other modules import them from `gateway.model.faults`."""

from enum import Enum


class Fault(Enum):
    """One entry = code, Chinese sentence, English sentence. Codes never change their meaning.

    `{detail}` in a sentence is filled from the finding; it never contains personal data.
    """

    # the package
    PACKAGE_UNREADABLE = (
        "package-unreadable",
        "文件既不是 ZIP 也不是 XML，无法读取；请核对文件后重发。",
        "The file is neither a zip nor an XML document.",
    )
    PACKAGE_TOO_LARGE = (
        "package-too-large",
        "报文包超过允许的大小（{detail}）；请压缩随附单据，或将其分开发送。",
        "The package is larger than allowed ({detail}).",
    )
    ALLOWANCE_USED = (
        "allowance-used",
        "本账户当日可发送的数量已用完（{detail}）；请于次日（北京时间）重发，或请网关值班人员调整额度。",
        "The account's allowance for today is used up ({detail}); send it again tomorrow (China time).",
    )
    DISK_RESERVE = (
        "disk-reserve",
        "网关存储空间不足，目前只接收不超过 {detail} 字节的报文包；请稍后重发。",
        "The gateway's disk is nearly full; it accepts only packages of at most {detail} bytes. Send it later.",
    )
    PACKAGE_TOO_COSTLY = (
        "package-too-costly",
        "处理该报文包所需超过上限（{detail}）；请简化 XML 或重新生成随附 PDF，或将其分开发送。",
        "Judging the package takes more than is allowed ({detail}).",
    )
    DOCUMENT_TOO_LARGE = (
        "document-too-large",
        "XML 报文超过允许的大小（{detail}）；请减少内容后重发。",
        "The XML document is larger than allowed ({detail}).",
    )
    ZIP_BROKEN = (
        "zip-broken",
        "ZIP 文件已损坏：{detail}；请重新压缩后重发。",
        "The zip is broken: {detail}.",
    )
    ZIP_ENCRYPTED = (
        "zip-encrypted",
        "ZIP 中的文件已加密，请发送未加密的文件。",
        "An entry of the zip is encrypted; send it unencrypted.",
    )
    ZIP_PATH = (
        "zip-path",
        "ZIP 中的文件名不得含有目录、绝对路径或“..”；请将文件直接压缩，不带文件夹。{detail}",
        "Names in the zip must be flat: no folders, no absolute paths, no '..'.{detail}",
    )
    ZIP_SYMLINK = (
        "zip-symlink",
        "ZIP 中不得含有链接或特殊文件，请删去后重新压缩。",
        "The zip must not contain links or special files.",
    )
    ZIP_DUPLICATE = (
        "zip-duplicate",
        "ZIP 中有同名文件，请改名或删去其一。",
        "Two entries of the zip have the same name.",
    )
    ZIP_OVERLAP = (
        "zip-overlap",
        "ZIP 中的数据区相互重叠，请用其他软件重新压缩。",
        "Entries of the zip overlap.",
    )
    ZIP_TOO_MANY = (
        "zip-too-many-entries",
        "ZIP 中的文件过多（{detail}）；请减少文件后重发。",
        "The zip has too many entries ({detail}).",
    )
    ZIP_RATIO = (
        "zip-ratio",
        "ZIP 的压缩比过高，疑为压缩炸弹（{detail}）；请核对其中的文件后重新压缩。",
        "The zip expands too much, as a zip bomb would ({detail}).",
    )
    ZIP_NAME = (
        "zip-name",
        "ZIP 中的文件名须为 UTF-8 或 GBK 编码，不得含有控制字符，不得为空或过长；请改名后重新压缩。",
        "A name in the zip is neither UTF-8 nor GBK, has control characters, or is empty or too long.",
    )
    ZIP_METHOD = (
        "zip-method",
        "ZIP 的压缩方式不受支持（{detail}）；请使用 Deflate。",
        "The zip uses a compression method that is not accepted ({detail}); use Deflate.",
    )
    ZIP_HIDDEN = (
        "zip-hidden-data",
        "ZIP 中有不属于任何文件的数据，请重新压缩后重发。",
        "The zip contains bytes that belong to no entry.",
    )
    ZIP_IGNORED = (
        "zip-ignored",
        "该文件由操作系统自动生成，不属于报文，已忽略；重新压缩时请不要包含。",
        "The operating system made this file; it is not part of the message and is ignored. Leave it out.",
    )
    ZIP_NO_DOCUMENT = (
        "zip-no-document",
        "ZIP 中没有 XML 报文，请补入后重发。",
        "The zip contains no XML document.",
    )
    ZIP_MANY_DOCUMENTS = (
        "zip-many-documents",
        "ZIP 中有多份 XML 报文，只能有一份；请分别发送。",
        "The zip contains more than one XML document; it must contain one.",
    )
    ZIP_UNEXPECTED = (
        "zip-unexpected-entry",
        "ZIP 中只能有一份 XML 报文及其 PDF 文件，请删去其他文件。",
        "The zip may contain only one XML document and PDF files.",
    )

    # the XML document
    XML_MALFORMED = (
        "xml-malformed",
        "XML 格式有误：{detail}；请用报关软件重新生成。",
        "The XML is not well-formed: {detail}.",
    )
    XML_ENCODING = (
        "xml-encoding",
        "编码不受支持或与声明不符（{detail}）；请使用 UTF-8、GBK 或 GB18030。",
        "The encoding is not accepted, or not as declared ({detail}); use UTF-8, GBK or GB18030.",
    )
    XML_DECLARATION = (
        "xml-declaration",
        'XML 声明不符合 XML 1.0 的格式（{detail}）；请写成 <?xml version="1.0" encoding="UTF-8"?>。',
        "The XML declaration is not well-formed XML 1.0 ({detail}); write "
        '<?xml version="1.0" encoding="UTF-8"?>.',
    )
    XML_COMMENT = (
        "xml-comment",
        "有内容的元素中不得夹有注释，请删去。",
        "An element that contains text must not contain a comment; remove the comment.",
    )
    XML_DTD = (
        "xml-dtd",
        "XML 不得含有 DOCTYPE 或实体定义，请删去。",
        "The XML must not contain a DOCTYPE or entities.",
    )
    XML_XINCLUDE = ("xml-xinclude", "XML 不得含有 XInclude，请删去。", "The XML must not use XInclude.")
    XML_SCHEMA_LOCATION = (
        "xml-schema-location",
        "XML 中的 schemaLocation 不予采用（网关使用自己的 XSD）；无须处理。",
        "The schemaLocation of the XML is ignored; the gateway uses its own XSD.",
    )
    XML_INSTRUCTION = (
        "xml-processing-instruction",
        "XML 根元素内不得含有处理指令，请删去。",
        "The XML must not contain processing instructions inside its root element.",
    )
    XML_NAMESPACES = (
        "xml-namespaces",
        "XML 声明的命名空间前缀过多（{detail}）；请删去不用的声明。",
        "The XML declares too many namespace prefixes ({detail}).",
    )
    XML_ATTRIBUTES = (
        "xml-attributes",
        "XML 元素的属性过多（{detail}）；请删去多余的属性。",
        "An element of the XML has too many attributes ({detail}).",
    )
    XML_ELEMENTS = (
        "xml-elements",
        "XML 的元素或属性过多（{detail}）；请减少内容后重发。",
        "The XML has too many elements or attributes ({detail}).",
    )
    XML_DEPTH = (
        "xml-depth",
        "XML 嵌套过深（{detail}）；请核对报文结构。",
        "The XML is nested too deeply ({detail}).",
    )

    # the family and its schema
    FAMILY_UNKNOWN = (
        "family-unknown",
        "网关不支持此类报文（根元素 {detail}），请核对。",
        "No message type has this root element: {detail}.",
    )
    WRAPPER_CONTENT = (
        "wrapper-content",
        "报文外层中应有且仅有一份报文（{detail}）；请更正后重发，也可去掉外层，直接发送其中的报文。",
        "A wrapper must contain one message and nothing else: {detail}.",
    )
    WRAPPER_COMPRESSED = (
        "wrapper-compressed",
        "报文外层标明内容经过压缩，网关不予受理；请改为不压缩后重发。",
        "The wrapper says that its content is compressed; send it uncompressed.",
    )
    ANSWER_SEVERAL = (
        "answer-several",
        "一份回执报文中有多条回执（{detail}），无法确定各自所属的报关单，请网关值班人员核对。",
        "The answer contains several returns ({detail}); it is not clear which declaration each is about.",
    )
    SCHEMA_ELEMENT = (
        "schema-element",
        "{detail}。",
        "This element is not allowed here: {detail}.",
    )
    SCHEMA_MISSING = (
        "schema-missing",
        "缺少必填内容：{detail}。",
        "Something required is missing: {detail}.",
    )
    SCHEMA_VALUE = (
        "schema-value",
        "填写不符合要求：{detail}。",
        "The value has the wrong type, length or form: {detail}.",
    )
    SCHEMA_ATTRIBUTE = (
        "schema-attribute",
        "属性不符合要求：{detail}；请删去或更正。",
        "The attribute is not allowed or has a wrong value: {detail}.",
    )
    TEXT_CHARACTERS = (
        "text-characters",
        "代码、编号中含有不可见字符或特殊空白（{detail}）；请删去后重发。",
        "A code or number contains invisible characters or special white space ({detail}); remove them and "
        "send it again.",
    )
    RULE = ("business-rule", "{detail}", "A business rule is not met: {detail}")
    DOCUMENT_MISSING = (
        "document-missing",
        "随附单据缺文件：{detail}",
        "A listed document is not in the package: {detail}",
    )
    DOCUMENT_AMBIGUOUS = (
        "document-ambiguous",
        "无法确定随附单据所指的文件：{detail}",
        "It is not clear which file a listed document means: {detail}",
    )
    DOCUMENT_UNLISTED = (
        "document-unlisted",
        "文件未列入随附单据：{detail}",
        "A file of the package is not listed in the declaration: {detail}",
    )
    DOCUMENT_REPLACED = (
        "document-replaced",
        "同名文件已重发，以后一份为准（报文号 {detail}）；本份不再使用，无须处理。",
        "A file with the same name was sent later and is used instead ({detail}).",
    )
    PDF_UNFIT = (
        "pdf-unfit",
        "随附 PDF 不符合要求：{detail}",
        "An attached PDF does not meet the requirements: {detail}",
    )

    # who sent it
    ACCOUNT_UNKNOWN = (
        "account-unknown",
        "该账户未对应任何已登记企业，请联系网关值班人员。",
        "The account belongs to no registered party.",
    )
    WRONG_PARTY = (
        "wrong-party",
        "报文所填企业与发送账户不符：AgentCode、CopCode（委托协议为 CopCusCode）及其统一社会信用代码须为贵单位，请核对或换用本单位账户。",
        "The message names a party other than that of the account that sent it.",
    )
    TRADERS_DIFFER = (
        "traders-differ",
        "境内收发货人的海关编码与统一社会信用代码不属于同一企业，请核对。",
        "The trader's customs code and social credit code belong to two different parties.",
    )
    SENDER_ROLE = (
        "sender-role",
        "发送账户所属单位的登记角色不能发送此类报文（{detail}）；登记有误的，请联系网关值班人员更正。",
        "The sending party has no role that may send such a message ({detail}); if the register is wrong, ask"
        " the gateway's operator to correct it.",
    )
    TRADER_ROLE = (
        "trader-role",
        "境内收发货人栏填写的单位未登记为境内收发货人（{detail}）；请填写委托方，该单位确有境内收发货人资格的，"
        "请联系网关值班人员补充登记。",
        "The party named as trader is not registered as one ({detail}); name the principal, or, if it is"
        " qualified as a trader, ask the gateway's operator to register that.",
    )
    SIGNATURE_MISSING = (
        "signature-missing",
        "贵单位约定报文须带 XML 签名，请签名后重发。",
        "This message must have an XML signature.",
    )
    SIGNATURE_UNWANTED = (
        "signature-unwanted",
        "贵单位约定报文不带 XML 签名，请去掉签名后重发。",
        "This party has agreed to send no XML signature, but the message has one.",
    )
    SIGNATURE_FORM = (
        "signature-form",
        "签名的位置、数量或引用不符合要求：{detail}；请重新签名后重发。",
        "The signature's place, number or references are not as required: {detail}.",
    )
    SIGNATURE_ALGORITHM = (
        "signature-algorithm",
        "签名算法不受支持：{detail}；请换用网关支持的算法重新签名。",
        "The signature uses an algorithm that is not accepted: {detail}.",
    )
    SIGNATURE_INVALID = (
        "signature-invalid",
        "验签未通过：内容在签名后被更改，或签名值不正确。请重新签名后重发，签名后不要再改动文件。",
        "The signature does not verify: the content was changed after signing, or the value is wrong.",
    )
    CERTIFICATE_UNKNOWN = (
        "certificate-unknown",
        "签名证书未登记在贵单位名下，请先登记。",
        "The signing certificate is not registered for this party.",
    )
    CERTIFICATE_EXPIRED = (
        "certificate-expired",
        "签名证书不在有效期内（{detail}）；请换用有效的证书重新签名。",
        "The signing certificate is outside its validity period ({detail}).",
    )
    CERTIFICATE_REVOKED = (
        "certificate-revoked",
        "签名证书已被撤销（{detail}）；请换用有效的证书重新签名。",
        "The signing certificate is revoked ({detail}).",
    )

    # whether it may go paperless
    PAPERLESS_SCOPE = (
        "paperless-scope",
        "收到报文之日，该业务不在通关无纸化试点范围内（{detail}）；请改报有纸报关单（EntryType 填 0）。",
        "This traffic was not in the paperless scope on the day of receipt ({detail}).",
    )
    PAPERLESS_CLASS = (
        "paperless-class",
        "该企业的管理类别不适用通关无纸化（{detail}）；请改报有纸报关单（EntryType 填 0）。",
        "An enterprise of this class may not go paperless ({detail}).",
    )
    PAPERLESS_CONTRACT = (
        "paperless-contract",
        "该企业未与申报地直属海关办理无纸化签约（三方协议）（{detail}）；请签约并在网关登记后重发，或改报有纸报关单（EntryType 填 0）。",
        "The enterprise has no paperless contract with the district ({detail}).",
    )
    DOCUMENTS_DUE = (
        "documents-due",
        "缺少须随报关单提交的单证：{detail}",
        "Documents that are due with the declaration are missing: {detail}.",
    )

    # agency
    AGREEMENT_MISSING = (
        "agreement-missing",
        "没有适用于本报关单的有效代理报关委托书（{detail}）；请签约后重发，或以随附单据（EdocCode 10000001）填报委托协议编号。",
        "A broker's declaration needs an agency mandate or agreement in force ({detail}).",
    )
    AGREEMENT_ACT = (
        "agreement-act",
        "{detail}，不能再作此操作；请核对通知。",
        "The notice cannot be applied to the agreement ({detail}).",
    )
    AGREEMENT_NOTICE = (
        "agreement-notice",
        "委托协议通知内容有误，未予登记（{detail}）；请更正后重发。",
        "The notice of an agreement is contradictory and was not applied ({detail}).",
    )
    AGREEMENT_CHOSEN = (
        "agreement-chosen",
        "填报了多份委托协议，本报关单使用的是 {detail}，请核对。",
        "Several agreements are listed; this declaration uses {detail}.",
    )
    NOT_ASSOCIATION = (
        "not-association",
        "此类报文只能由报关协会发送，贵单位账户为{detail}。",
        "Only the brokers' association may send such a message ({detail}).",
    )
    AGREEMENT_UNFIT = (
        "agreement-unfit",
        "所填委托协议不能用于本报关单（{detail}）；请更正报关单，或填报适用的协议编号后重发。",
        "The listed agency agreement does not cover this declaration ({detail}).",
    )

    # AMQP messages, before they are accepted as a message
    AMQP_USER = (
        "amqp-user",
        "消息须带 user_id，其值须为已登记、以 AMQP 送达回执的账户。",
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
        "Properties cannot be read: message_id and correlation_id must be UTF-8, headers valid AMQP.",
    )
    AMQP_CONTENT_TYPE = (
        "amqp-content-type",
        "content_type 须为 application/xml、text/xml、application/zip、application/x-zip-compressed、"
        "application/octet-stream 或取件通知的类型（{detail}）。",
        "content_type must be application/xml, text/xml, application/zip, application/x-zip-compressed, "
        "application/octet-stream or that of a claim ({detail}).",
    )
    AMQP_ENCODING = (
        "amqp-encoding",
        "不接受经编码或压缩的消息内容（content_encoding：{detail}）；请直接发送原文件。",
        "The body must not be encoded or compressed (content_encoding {detail}); send the file as it is.",
    )
    AMQP_NAME = (
        "amqp-name",
        "消息头 name 须为可用的文件名，并与 content_type 相符（{detail}）。",
        "Header name is not a usable file name, or does not match content_type ({detail}).",
    )
    AMQP_SIZE = (
        "amqp-size",
        "消息为空或过大（{detail}）；大文件请经 SFTP 上传后以取件通知提交。",
        "The message is empty or too large ({detail}); upload large files over SFTP and send a claim.",
    )
    CLAIM_UNREADABLE = (
        "claim-unreadable",
        "取件通知无法读取，内容须为 {detail}。",
        "The claim cannot be read ({detail}).",
    )
    CLAIM_MISSING = (
        "claim-missing",
        "OutBox 中没有取件通知所指的未完成文件（{detail}）；请先上传。",
        "OutBox has no unfinished file of this name ({detail}).",
    )
    CLAIM_OPEN = (
        "claim-open",
        "取件通知所指的文件仍在上传（{detail}）；请在上传完成后发取件通知。",
        "The file of the claim is still being uploaded ({detail}).",
    )
    CLAIM_DIFFERS = (
        "claim-differs",
        "上传的文件与取件通知的大小或摘要不符（{detail}）；请核对后重发。",
        "The uploaded file has another size or digest than the claim says ({detail}).",
    )

    # its declaration, and what it waits for
    DECLARATION_UNKNOWN = (
        "declaration-unknown",
        "未找到贵单位申报或委托申报的该报关单（{detail}），请核对编号。",
        "No declaration of yours has these numbers ({detail}).",
    )
    DECLARATION_ENDED = (
        "declaration-ended",
        "海关已退单或删单，不能再为该报关单补交单证（{detail}）；请随新的报关单提交。",
        "Customs refused or deleted this declaration; no documents can be added to it ({detail}).",
    )
    AWAITED = (
        "awaited",
        "正在等待{detail}；到达后自动继续，请勿重发。",
        "Waiting for: {detail}.",
    )

    # duplicates, and routing
    REPLACED = (
        "replaced",
        "同一编号后来又发送了一份内容不同的报文，以后一份为准（报文号 {detail}）；本份不再处理，无须重发。",
        "Another version with this reference was sent later and is used instead ({detail}).",
    )
    DUPLICATE_REFERENCE = (
        "duplicate-reference",
        "该编号（报关单为客户端编号 ClientSeqNo）已用于一份已受理的报文，本次内容不同，未作处理。请为新的报关单换用新编号；修改已申报的，须向海关办理修改或撤销手续。",
        "A message with this reference but other content was accepted before; nothing was done.",
    )
    SAME_CONTENT = (
        "same-content",
        "内容与客户端编号 {detail} 的报文相同，请核对是否重复申报。",
        "The content equals that of a message with another reference ({detail}).",
    )
    NO_ROUTE = (
        "no-route",
        "网关未开通该申报地海关（{detail}），请核对 CustomMaster，无误的请联系网关值班人员。",
        "No route to customs matches this message ({detail}).",
    )
    CUSTOMS_UNREACHABLE = (
        "customs-unreachable",
        "海关接口自{detail}起中断；报文已受理，恢复后自动递交，请勿重发。",
        "Customs has been unreachable since {detail}; the message is accepted and will be sent when customs "
        "is back: do not send it again.",
    )
    DISMISSED = (
        "dismissed",
        "网关值班人员人工拒收：{detail}。请按所述原因更正后重发，有疑问的请联系网关值班人员。",
        "The message was refused by an operator of the gateway: {detail}",
    )
    WAIT_EXPIRED = (
        "wait-expired",
        "等待期满，{detail}仍未到达；请备齐后重发。",
        "What the message waited for did not arrive in time: {detail}.",
    )

    def __init__(self, code: str, zh: str, en: str) -> None:
        self.code = code
        self.zh = zh
        self.en = en
