"""Kinds of errors of rows, in Arabic: the output and the command tell them in English."""

from __future__ import annotations

import re

from serving.archives.columns import NO_TEXT

_SENTENCES = {
    re.escape(NO_TEXT): "لا يُعرف أي عمود يحمل النص",
    r"column (.*) is empty": r"العمود «\1» فارغ",
    r"the text has .+ are read": "النص أطول من الحد المقروء",
    r"# cells where there are # columns": "عدد الخانات لا يطابق عدد الأعمدة",
    r"line # is not JSON.*": "السطر ليس JSON",
    r"line # is no JSON object": "السطر ليس كائن JSON",
    r"record # is no JSON object": "السجل ليس كائن JSON",
    r"the file is no JSON after record # .*": "الملف ليس JSON من بعد هذا الموضع، ولم يُقرأ ما بعده",
    r"no conversation of Chatwoot: .*": "ليست محادثة من Chatwoot: بلا رقم أو بلا رسائل",
    r"a message of .+ is no object": "رسالة في المحادثة ليست كائن JSON",
    r"no ticket of Zendesk: .*": "ليست تذكرة من Zendesk: بلا رقم، أو تعليقاتها ليست قائمة",
    r"a comment of ticket .+ is no object": "تعليق في التذكرة ليس كائن JSON",
    r"text above the first message: .*": "نص قبل أول رسالة: صدّروا المحادثة من جديد",
}
"""By the whole of a kind (`gathering.kind_of`)."""


def in_arabic(kind: str) -> str:
    """The kind of an error as people read it in an Arabic report; as it is where it is unknown."""
    for pattern, sentence in _SENTENCES.items():
        if found := re.fullmatch(pattern, kind, re.DOTALL):
            return found.expand(sentence)
    return kind
