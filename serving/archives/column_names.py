"""What columns are called, by role, in English and Arabic."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_NAMES: dict[str, str] = {
    "text": """text, message text, message body, message, body, content, text body, customer message,
        client message, user message, comment, comment text, comment body, review, review text,
        review body, feedback, complaint, tweet, post, post text, msg, sms, chat message, messages,
        comments, reviews, plain body, description, details, inquiry, question, request, notes, note,
        caption, subject,
        النص, نص الرسالة, نص, الرسالة, رسالة العميل, رسالة الزبون, محتوى الرسالة, المحتوى, الرسائل,
        نص التعليق, التعليق, التعليقات, المراجعة, نص المراجعة, التقييم النصي, الشكوى, نص الشكوى,
        الاستفسار, نص الاستفسار, السؤال, الطلب, الوصف, التفاصيل, الملاحظات, ملاحظات العميل, الموضوع""",
    "id": """id, message id, msg id, row id, record id, comment id, review id, tweet id, post id,
        external id, uuid, guid,
        معرف الرسالة, رقم الرسالة, معرف, رقم التعليق, رقم المراجعة, رقم السجل, مسلسل, رقم""",
    "customer": """customer id, client id, customer number, customer no, customer code, client code,
        client number, user id, contact id, requester id, account id, account number, subscriber id,
        member id, visitor id, wa id, customer, client, customer phone, client phone, phone number,
        mobile number, phone, mobile, msisdn, whatsapp number, customer email, client email,
        user email, requester email, contact email, email address, email, e mail, requester, contact,
        user, username, user name, account, subscriber, member, customer name, client name,
        contact name, full name, sender id, from number, from id, author id, author, sender, from, name,
        رقم العميل, معرف العميل, كود العميل, رقم الزبون, معرف الزبون, كود الزبون, رقم المشترك,
        رقم العضوية, رقم الحساب, رقم المستخدم, معرف المستخدم, العميل, الزبون, هاتف العميل, جوال العميل,
        رقم الهاتف, رقم الجوال, رقم الموبايل, رقم التليفون, رقم الواتساب, الهاتف, الجوال, الموبايل,
        التليفون, تليفون, المحمول, رقم المحمول, البريد الإلكتروني, الإيميل, المستخدم, المشترك, الحساب,
        اسم العميل, اسم الزبون, اسم المستخدم, المرسل, اسم المرسل, الاسم""",
    "name": """customer name, client name, customer full name, client full name, contact name,
        requester name, subscriber name, member name, visitor name, buyer name, consumer name,
        اسم العميل, اسم الزبون, اسم المشترك, اسم العضو, اسم الزائر, اسم المشتري, اسم صاحب الطلب,
        اسم صاحب الشكوى, اسم مقدم الشكوى""",
    "sent_at": """sent at, sent time, sent on, date sent, time sent, created at, created time, created on,
        creation time, date created, created, datetime, date time, date and time, timestamp,
        time stamp, message time, message date, message timestamp, received at, received on,
        posted at, published at, published, submitted at, submitted on, ts, date, day, time, at, when,
        opened at, updated at,
        تاريخ الإرسال, وقت الإرسال, تاريخ الرسالة, وقت الرسالة, التاريخ والوقت, الوقت والتاريخ,
        تاريخ ووقت, تاريخ الإنشاء, تاريخ التعليق, تاريخ الاستلام, تاريخ النشر, تاريخ الشكوى, التاريخ,
        الوقت, اليوم, متى""",
    "direction": """direction, message direction, in out, message type, sender type, author type,
        sender role, role, from type, sent by, source type, kind, type, sender, author, from,
        from me, is from me, incoming, is incoming, inbound, is inbound, from customer,
        is from customer, is customer, outgoing, is outgoing, outbound, is outbound, from agent,
        is from agent, is agent,
        الاتجاه, اتجاه الرسالة, نوع الرسالة, نوع المرسل, صفة المرسل, المرسل, النوع, من, وارد صادر,
        صادر وارد""",
    "channel": """channel, channel type, message channel, platform, medium, inbox, source channel, via,
        القناة, قناة التواصل, المنصة, وسيلة التواصل, المصدر""",
    "ticket": """ticket id, ticket, ticket number, ticket no, case id, case number, case, issue id,
        complaint id, complaint number, conversation id, conversation,
        رقم التذكرة, التذكرة, معرف التذكرة, رقم الشكوى, رقم البلاغ, رقم الحالة, رقم المحادثة,
        معرف المحادثة, المحادثة""",
    "agent": """agent id, agent, agent name, employee id, employee, employee name, staff id, staff,
        operator, operator id, representative, rep, assignee id, assignee, assigned to, handled by,
        رقم الموظف, الموظف, اسم الموظف, معرف الموظف, الوكيل, اسم الوكيل, المسؤول, ممثل الخدمة""",
}
"""Names by role, the best first."""

_NAMES_OF_ANYBODY = """full name, name, display name, user full name, user display name, profile name,
    sender name, from name, author name, sender, from, author,
    الاسم الكامل, الاسم بالكامل, الاسم, اسم, اسم المرسل, المرسل"""
_IDS_OR_NAMES = """customer, client, contact, requester, user name, user, subscriber, member,
    العميل, الزبون, اسم المستخدم, المستخدم, المشترك"""
"""Names of columns that may hold the customers' names; their values tell."""

_NAMES_OF_PHONES = """customer phone, client phone, phone number, mobile number, phone, mobile, msisdn,
    whatsapp number, wa id, from number,
    هاتف العميل, جوال العميل, رقم الهاتف, رقم الجوال, رقم الموبايل, رقم التليفون, رقم الواتساب, الهاتف,
    الجوال, الموبايل, التليفون, تليفون, المحمول, رقم المحمول"""


@lru_cache(4_096)
def plain_name(name: str) -> str:
    """A name without case, spaces, signs, vowel signs, ال, and the ways to write alif, ya and ta."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", name) if unicodedata.category(c) != "Mn"
    )
    bare = bare.lower().translate({ord("ى"): "ي", ord("ة"): "ه", ord("ـ"): None})
    words = re.findall(r"[^\W_]+", bare)
    return "".join(re.sub(r"^(و?)ال(?=\w{2})", r"\1", word) for word in words)


RANKS = {
    role: {plain_name(name): rank for rank, name in reversed(list(enumerate(names.split(","))))}
    for role, names in _NAMES.items()
}
"""Place of each plain name among those of its role."""

_ANYBODY = dict.fromkeys(map(plain_name, _NAMES_OF_ANYBODY.split(",")))
PERHAPS_NAMES = [*_ANYBODY, *map(plain_name, _IDS_OR_NAMES.split(","))]
_PHONES = frozenset(map(plain_name, _NAMES_OF_PHONES.split(",")))


def holds_names(column: str) -> bool:
    """Whether its name says that it holds people's names."""
    return plain_name(column) in RANKS["name"] or plain_name(column) in _ANYBODY


def holds_phones(column: str) -> bool:
    """Whether its name says that it holds phone numbers."""
    return plain_name(column) in _PHONES
