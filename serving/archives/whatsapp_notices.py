"""What WhatsApp itself writes into exports, in English and Arabic: notices, and signs for media."""

from __future__ import annotations

import re
from typing import NamedTuple

from serving.archives.whatsapp_lines import MARKS, without_marks

_EDITED = re.compile(rf"<(?:This message was edited|تم تعديل هذه الرسالة)>[\s{MARKS}]*+$")

ENCRYPTED = re.compile(
    r"Messages (?:and calls|to this (?:chat|group)) are (?:now )?(?:end-to-end encrypted|secured with)"
    r"|الرسائل والمكالمات مشفّ?رة|إن الرسائل التي ترسلها [^\n]*محمية من خلال التشفير"
)
"""The notice that begins most chats; iPhones write it as if the chat's name had sent it."""

_NOTICES = (
    rf"(?:{ENCRYPTED.pattern})[^\n]*",
    r"(?:This message was deleted|You deleted this message)(?: by admin [^\n]{1,80})?\.?",
    r"(?:تم حذف|أنت حذفت|لقد حذَ?فت|حذَ?فت) هذه الرسالة(?: (?:بواسطة|من قبل) المشرف [^\n]{1,80})?\.?",
    r"(?:Missed|Silenced) (?:group )?(?:voice|video) call(?:[,.] (?:Tap|Click) to [^\n]*)?\.?",
    r"(?:Voice|Video) call[,.] (?:\d+ (?:sec|min|hr)|No answer|Answered on|Declined|Tap to)[^\n]*",
    r"مكالمة (?:صوتية|فيديو)(?: جماعية)? فائتة(?:[،,.] (?:انقر|اضغط) [^\n]*)?\.?",
    r"مكالمة (?:صوتية|فيديو)[،,.] (?:[\d٠-٩]+ (?:ث|د|س)|لا رد|لم يتم الرد)[^\n]*",
    r"Waiting for this message\. This may [^\n]*|في انتظار هذه الرسالة\. قد [^\n]*",
    r"Your security code with [^\n]{1,120} changed[^\n]*|(?:تغيّ?ر|تم تغيير) رمز (?:أمانك|الأمان) [^\n]*",
    r"This (?:chat|business) (?:is with an? (?:official )?business account|uses a secure service from"
    r"|works with other companies to)[^\n]*",
    r"تستخدم هذه الشركة خدمة آمنة من [^\n]*|هذه الدردشة مع حساب (?:أعمال|تجاري)[^\n]*",
)
_NOTICE = re.compile("|".join(_NOTICES))
"""A whole message of these words is the app's, whoever seems to have sent it."""

_EVENTS = (
    r"created (?:this )?group\b",
    r"changed (?:the|this) (?:subject|group)\b",
    r"changed (?:their phone number|to \+)",
    r"(?:added|removed) \S[^\n]*",
    r"(?:was added|was removed|left|pinned a message)\.?$",
    r"joined using\b",
    r"turned (?:on|off) disappearing messages\b",
    r"(?:un)?blocked this (?:contact|person|business)\b",
)
_EVENT = re.compile("|".join(_EVENTS))
"""What a sender did, after the name or You, where a direction mark shows that the app wrote it."""

_ARABIC_EVENT = re.compile(
    r"(?:أنشأ|أضاف|أزال|غيّر)ت? \S[^\n]*(?:المجموعة|هاتفه|هاتفها|إلى المجموعة)"
    r"|(?:غادر|انضم)ت? \S[^\n]{0,60}$|(?:فعّل|أوقف)ت? \S[^\n]* الرسائل ذاتية الاختفاء"
    r"|تمت (?:إضافة|إزالة) \S[^\n]{0,60}$|(?:ثبّت)ت? \S[^\n]{0,60} رسالة"
)

_GAP = rf"[ {MARKS}]*+"
_DOCUMENT = r"[^\n<>/]{1,200}?\.\w{1,5}(?: • [^\n]{1,30}?)?"
_OMITTED = (
    r"(?:(?:image|video|video note|audio|sticker|GIF|document|Contact card) omitted"
    r"|لم يتم إدراج (?:الصورة|الصور|الفيديو|الفيديوهات|المقطع الصوتي|المقاطع الصوتية|المستند|صورة GIF"
    r"|الملصق|الملصقات|رسالة الفيديو|بطاقة جهة اتصال)|تم حذف الملصقات"
    r"|(?:صورة|فيديو|مقطع صوتي|ملصق|مستند|جهة اتصال) غير (?:مدرج|مضمّ?ن)ة?"
    r"|تم استبعاد (?:الصورة|الفيديو|المقطع الصوتي|الملصق|المستند))"
)
_ALONE = (
    rf"<(?:Media omitted|تم استبعاد الوسائط|View once [^>\n]{{1,40}} omitted)>(?:\n{_DOCUMENT}$)?",
    rf"{_DOCUMENT}{_GAP}\((?:file attached|الملف مرفق|ملف مرفق)\)",
    rf"(?:{_DOCUMENT}{_GAP})?{_OMITTED}",
    r"(?:(?:[Ll]ocation|موقع|الموقع): )?https://maps\.google\.com/\?q=\S+",
    r"live location shared|تمت مشاركة الموقع المباشر",
)
_MEDIA = re.compile(
    rf"^{_GAP}(?:{'|'.join(_ALONE)}){_GAP}$"
    rf"|(?:^{_DOCUMENT}{_GAP})?<(?:attached|المُ?رفق|مُ?رفق): [^>\n]{{1,300}}>"
    rf"| ?[\u200e\u200f]{_OMITTED}{_GAP}$",
    re.MULTILINE,
)
"""A picture, recording, document, card or place: on a line of its own, or after a direction mark."""

_MAY_BE_THE_APPS = re.compile(
    r"[<\u200e\u200f]|omitted|attached\)|call|deleted|security code|maps\.google|Waiting|business"
    r"|end-to-end|مرفق|إدراج|مدرج|مضم|استبعاد|حذ[َ]?ف|مكالم|مشف|الموقع|موقع|انتظار|رمز|الشركة|الدردشة|الرسائل"
)
"""Cheaper than the rest: most messages are let through here."""


class Content(NamedTuple):
    """What a message holds.

    Attributes:
        kind: message, media or system.
        text: what the sender wrote: of media the caption, of a system message its words.
        media: the media's sign or file, as it was written.
    """

    kind: str
    text: str
    media: str | None = None


def read_content(body: str, sender: str) -> Content:
    """What the body of a message from `sender` holds."""
    if not _MAY_BE_THE_APPS.search(body):
        return Content("message", trim(body))
    text = trim(_EDITED.sub("", body))
    plain = without_marks(text)
    if _NOTICE.fullmatch(plain) or (_is_marked(body) and _is_event(plain, sender)):
        return Content("system", text)
    signs = [trim(sign[0]) for sign in _MEDIA.finditer(text)]
    if not signs:
        return Content("message", text)
    return Content("media", trim(_MEDIA.sub("", text)), "\n".join(signs))


def _is_marked(body: str) -> bool:
    return body.lstrip(" ").startswith(("\u200e", "\u200f"))


def _is_event(plain: str, sender: str) -> bool:
    for doer in (sender, "You"):
        if plain.startswith(f"{doer} "):
            return _EVENT.match(plain, len(doer) + 1) is not None
    return _ARABIC_EVENT.match(plain) is not None


def trim(text: str) -> str:
    """Without spaces and single direction marks at its ends; paired ones stay."""
    return text.strip(_ENDS)


_ENDS = " \t\r\n\x0b\x0c\x85\xa0\u2009\u2028\u2029\u202f\u3000\u061c\u200e\u200f\ufeff"
