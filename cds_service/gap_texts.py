"""Gaps and notes in words: the only place where a reason for missing data becomes text."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.gaps import Gap, GapKind, Note, NoteKind

_SEPARATOR = ("; ", "；")
_TEXTS: dict[GapKind, tuple[str, str]] = {
    GapKind.ADDRESS_NOT_HTTP: ("The address is no plain http(s) URL.", "地址不是普通的http(s)网址。"),
    GapKind.ADDRESS_NOT_ALLOWED: (
        "The address is not on the list of FHIR servers that may be called.",
        "地址不在允许访问的FHIR服务器列表中。",
    ),
    GapKind.ADDRESS_OUTSIDE_SERVER: (
        "The address is outside the FHIR server of this request.",
        "地址不属于本次请求的FHIR服务器。",
    ),
    GapKind.ADDRESS_PRIVATE: (
        "its address is a private one that CDS_PRIVATE_ADDRESSES does not cover, or never called",
        "其地址为CDS_PRIVATE_ADDRESSES未包括的内网地址，或从不访问的地址",
    ),
    GapKind.CIRCUIT_OPEN: ("not asked, because its calls keep failing", "因连续失败暂不访问"),
    GapKind.NAME_NOT_RESOLVED: ("its name could not be resolved", "无法解析主机名"),
    GapKind.NAME_NOT_RESOLVED_IN_TIME: ("its name was not resolved in time", "未能及时解析主机名"),
    GapKind.NO_CONNECTION: ("no connection", "无法连接"),
    GapKind.NO_CONNECTION_IN_TIME: ("no connection in time", "未能及时连接"),
    GapKind.TLS_FAILED: ("TLS failed", "TLS连接失败"),
    GapKind.CONNECTION_CLOSED: ("connection closed without an answer", "连接关闭而无应答"),
    GapKind.ANSWER_BROKEN_OFF: ("answer broken off", "应答中断"),
    GapKind.ANSWER_TOO_LARGE: ("answer too large", "应答过大"),
    GapKind.TIMED_OUT: ("timed out", "超时"),
    GapKind.HTTP_STATUS: ("HTTP {status}", "HTTP {status}"),
    GapKind.HTTP_STATUS_RETRY_LATER: (
        "HTTP {status} (to be asked again in {seconds} s)",
        "HTTP {status}（{seconds}秒后可再试）",
    ),
    GapKind.NOT_FHIR: ("not FHIR JSON", "应答不是FHIR JSON"),
    GapKind.NOT_A_SEARCHSET: ("a Bundle that is no searchset", "应答不是检索结果"),
    GapKind.NOT_OF_TYPE: ("not a {resource}", "应答不是{resource}"),
    GapKind.OPERATION_OUTCOME: ("OperationOutcome: {issues}", "服务器报告{issues}"),
    GapKind.ALL_OF_ANOTHER_PATIENT: ("all entries are of another patient", "全部记录属于其他患者"),
    GapKind.PAGE: ("page {page}: {cause}", "第{page}页：{cause}"),
    GapKind.PAGE_OUTSIDE_SERVER: (
        "page {page} is at an address outside the FHIR server of this request",
        "第{page}页的地址不属于本次请求的FHIR服务器",
    ),
    GapKind.PAGES_IN_A_CIRCLE: ("the server's pages lead in a circle", "服务器分页循环"),
    GapKind.TOO_MANY_PAGES: ("more than {count} pages", "超过{count}页"),
    GapKind.TOO_MANY_ENTRIES: ("a page of more than {count} entries", "一页超过{count}条记录"),
    GapKind.FEWER_THAN_TOTAL: ("{count} of {total} entries came", "共{total}条，仅得{count}条"),
    GapKind.NOT_SENT: ("not sent as prefetch", "未作为prefetch发送"),
    GapKind.SENT_AS_NULL: ("sent as null", "发送的是null"),
    GapKind.SENT_AS_OUTCOME: ("the client could not fetch it ({issues})", "客户端未能获取（{issues}）"),
    GapKind.SENT_AS_OTHER_TYPE: ("sent as a resource of another type", "发送的是其他类型的资源"),
    GapKind.SENT_WITH_OTHER_TYPES: ("sent with resources of other types only", "发送的全部是其他类型的资源"),
    GapKind.SENT_FOR_ANOTHER_PATIENT: ("sent with entries of another patient only", "发送的全部是其他患者的记录"),
    GapKind.SENT_FIRST_PAGE_ONLY: ("only the first page was sent", "仅发送了第一页"),
    GapKind.SENT_FEWER_THAN_TOTAL: ("fewer entries than its total were sent", "发送的记录少于其总数"),
    GapKind.NO_FHIR_SERVER: ("no fhirServer to fetch it from", "没有可供获取的fhirServer"),
    GapKind.NO_AUTHORIZATION: ("no fhirAuthorization to fetch it with", "没有用于获取的fhirAuthorization"),
    GapKind.SERVER_NOT_ALLOWED: (
        "fhirServer is not on the list of servers that may be called",
        "fhirServer不在允许访问的服务器列表中",
    ),
    GapKind.FETCH_FAILED: ("fetching failed: {cause}", "获取失败：{cause}"),
    GapKind.SERVER_REPORTED: ("the server reported {issues}", "服务器报告{issues}"),
    GapKind.NO_PATIENT: ("no Patient in the answer", "应答中没有Patient"),
    GapKind.ENTRIES_UNREADABLE: ("{count} entries could not be read", "{count}条记录无法读取"),
    GapKind.RESOURCE_UNREADABLE: ("{count} × {resource} could not be read", "{count}条{resource}无法读取"),
    GapKind.MEDICINE_NOT_FOUND: (
        "{count} × {resource} whose medicine could not be looked up",
        "{count}条{resource}的药品无法查得",
    ),
    GapKind.STATUS_MISSING: ("{count} × {resource} without a status", "{count}条{resource}无状态"),
    GapKind.DRAFT_NOT_OPENED: ("{count} × draft order that could not be opened", "{count}条医嘱草稿无法打开"),
    GapKind.DRAFT_UNREADABLE: ("{count} × draft order could not be read", "{count}条医嘱草稿无法读取"),
    GapKind.DRAFT_MEDICINE_NOT_FOUND: (
        "{count} × draft order whose medicine could not be looked up",
        "{count}条医嘱草稿的药品无法查得",
    ),
}
# The log is English only.
_NOTES: dict[NoteKind, str] = {
    NoteKind.OTHER_SUBJECT: "{about} dropped: its subject is not the patient of the call, or not stated",
    NoteKind.OTHER_FOCUS: "{about} dropped: it is about somebody or something else than its subject (focus)",
    NoteKind.RESULT_UNUSABLE: "{about} result unusable: {detail}",
    NoteKind.DOSAGE_UNREADABLE: "{about} whose dosage could not be read: dose unknown",
    NoteKind.MEDICINE_NOT_KNOWN: "medicine by text alone that no value set names",
    NoteKind.REASON_UNREADABLE: "stated reason for a medicine could not be read",
    NoteKind.DRAFT_UNREADABLE: "draft {about} could not be read",
    NoteKind.DRAFT_NOT_OPENED: "draft order that could not be opened",
}


def gap_text(gap: Gap, language: str) -> str:
    """Why something is missing, in words.

    >>> gap_text(Gap(GapKind.PAGE, page=2, cause=Gap(GapKind.HTTP_STATUS, status=500)), "zh")
    '第2页：HTTP 500'
    """
    return _TEXTS[gap.kind][language == "zh"].format(
        status=gap.status,
        page=gap.page,
        count=gap.count,
        total=gap.total,
        seconds=gap.seconds,
        resource=gap.resource,
        issues=gap.issues,
        cause=gap_text(gap.cause, language) if gap.cause is not None else "",
    )


def gaps_text(gaps: Iterable[Gap], language: str) -> str:
    """Several reasons, joined.

    >>> gaps_text([Gap(GapKind.NOT_SENT), Gap(GapKind.NO_FHIR_SERVER)], "en")
    'not sent as prefetch; no fhirServer to fetch it from'
    """
    return _SEPARATOR[language == "zh"].join(gap_text(gap, language) for gap in gaps)


def note_text(note: Note) -> str:
    """A remark for the log, in words.

    >>> note_text(Note(NoteKind.DRAFT_UNREADABLE, "ServiceRequest"))
    'draft ServiceRequest could not be read'
    """
    return _NOTES[note.kind].format(about=note.about, detail=note.detail)
