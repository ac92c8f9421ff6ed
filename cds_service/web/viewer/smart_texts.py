"""What a clinician reads when a launch from the EHR leads nowhere: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from cds_service.present.texts import Language
from cds_service.security.smart import Problem

TITLE: Mapping[Language, str] = {"en": "The record could not be opened here", "zh": "无法在此打开病历"}
AGAIN: Mapping[Language, str] = {
    "en": "Nothing was read or changed. For those who run the service, this is in the log as",
    "zh": "未读取或更改任何内容。运维人员可在日志中查找编号",
}

# Problem -> HTTP status, and the words.
TEXTS: Mapping[Problem, tuple[int, Mapping[Language, str]]] = {
    "incomplete": (
        400,
        {
            "en": "This address works only when it is opened from a patient's record in the EHR. Open it from there.",
            "zh": "此地址只能从电子病历的患者病历中打开，请从病历中打开。",
        },
    ),
    "stranger": (
        403,
        {
            "en": "This EHR is not registered with the service. Ask those who run the service to add it.",
            "zh": "本服务未登记该电子病历系统，请联系运维人员登记。",
        },
    ),
    "unreachable": (
        502,
        {
            "en": "The EHR did not answer in time. Open the page again from the record in a minute.",
            "zh": "电子病历系统未及时应答，请稍后从病历中重新打开。",
        },
    ),
    "not-smart": (
        502,
        {
            "en": "The EHR does not offer the sign-in that is needed here. Tell those who run the service.",
            "zh": "电子病历系统不提供所需的登录方式，请告知运维人员。",
        },
    ),
    "other-host": (
        502,
        {
            "en": "The EHR names a sign-in server that is not registered with the service. Tell those who run it.",
            "zh": "电子病历系统指定的登录服务器未在本服务登记，请告知运维人员。",
        },
    ),
    "not-yours": (
        400,
        {
            "en": "This sign-in is not one that was begun in this browser, was used before, or took too long. Open the"
            " page again from the record.",
            "zh": "此次登录并非由本浏览器发起、已被使用或已超时，请从病历中重新打开。",
        },
    ),
    "refused": (
        403,
        {
            "en": "Access to the record was refused at sign-in. Open the page again if that was not intended.",
            "zh": "登录时拒绝了对病历的访问。如非本意，请重新打开。",
        },
    ),
    "no-token": (
        502,
        {
            "en": "The EHR did not complete the sign-in. Open the page again from the record.",
            "zh": "电子病历系统未完成登录，请从病历中重新打开。",
        },
    ),
    "no-patient": (
        502,
        {
            "en": "The EHR did not say which patient it is about. Open the page from within a patient's record.",
            "zh": "电子病历系统未指明患者，请在患者病历中打开。",
        },
    ),
}
