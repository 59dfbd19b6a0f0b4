"""Names, dates, amounts and counted nouns in English and Arabic, for what people read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

Language = Literal["en", "ar"]
LANGUAGES = ("ar", "en")

NAMES: dict[str, dict[str, str]] = {
    "en": {
        "calm": "calm",
        "hurt": "hurt",
        "draining": "draining",
        "inflamed": "inflamed",
        "none": "nothing to do",
        "listen": "listen",
        "repair": "repair",
        "boundary": "set boundaries",
        "warning": "warning",
        "repelling_price": "price at renewal",
        "step_down": "step down in service level",
        "separation": "separation",
        "volume": "contacts far above the usual",
        "repetition": "the same complaint after its solution",
        "hostile_language": "hostile language",
        "informal_channel": "pushing private channels",
        "scope_creep": "requests outside the product",
        "unproductive_discussion": "long discussion without a result",
        "prior": "starting value",
        "language": "rate of hostile language",
        "peak": "worst message",
        "intensification": "hostile messages close together",
        "team_rating": "rating by the team",
        "unanswered": "messages without a reply",
        "late_replies": "late replies",
        "unresolved": "unresolved tickets",
        "reopened": "reopened tickets",
        "handoffs": "hand-overs",
        "false_resolutions": "solutions that solved nothing",
        "abuse": "abuse",
        "threat": "threat",
        "accusation": "accusation",
        "physical": "of violence",
        "private_data": "to publish private data",
        "job": "to somebody's job",
        "reputation": "to harm our name",
        "purchase": "purchase",
        "renewal": "renewal",
        "upgrade": "upgrade",
        "cancellation": "cancellation",
    },
    "ar": {
        "calm": "هادئ",
        "hurt": "متضرر",
        "draining": "مستنزِف",
        "inflamed": "متضرر ومرهِق",
        "none": "لا إجراء",
        "listen": "الاستماع",
        "repair": "الإصلاح",
        "boundary": "وضع حدود",
        "warning": "تنبيه",
        "repelling_price": "سعر جديد عند التجديد",
        "step_down": "خفض مستوى الخدمة",
        "separation": "إنهاء التعامل",
        "volume": "تواصل يفوق المعتاد بكثير",
        "repetition": "تكرار الشكوى نفسها بعد حلّها",
        "hostile_language": "لغة عدائية",
        "informal_channel": "الدفع نحو القنوات الخاصة",
        "scope_creep": "طلبات خارج نطاق المنتج",
        "unproductive_discussion": "نقاش طويل دون نتيجة",
        "prior": "القيمة الابتدائية",
        "language": "نسبة اللغة العدائية",
        "peak": "أشد رسالة",
        "intensification": "رسائل عدائية متقاربة",
        "team_rating": "تقييم الفريق",
        "unanswered": "رسائل دون رد",
        "late_replies": "ردود متأخرة",
        "unresolved": "تذاكر لم تُحلّ",
        "reopened": "تذاكر أُعيد فتحها",
        "handoffs": "التحويل بين الموظفين",
        "false_resolutions": "حلول لم تحلّ المشكلة",
        "abuse": "إساءة",
        "threat": "تهديد",
        "accusation": "اتهام",
        "physical": "بالأذى الجسدي",
        "private_data": "بنشر بيانات خاصة",
        "job": "بقطع رزق موظف",
        "reputation": "بالإساءة إلى السمعة",
        "purchase": "شراء",
        "renewal": "تجديد",
        "upgrade": "ترقية",
        "cancellation": "إلغاء",
    },
}
"""Quadrants, steps, early signs, components, labels and outcomes as people read them."""

_ARABIC_MONTHS = (
    "يناير",
    "فبراير",
    "مارس",
    "أبريل",
    "مايو",
    "يونيو",
    "يوليو",
    "أغسطس",
    "سبتمبر",
    "أكتوبر",
    "نوفمبر",
    "ديسمبر",
)

_DAY = ("يوم واحد", "يومين", "أيام", "يومًا", "يوم")
"""One, two, 3 to 10, 11 to 99, hundreds; genitive, as after a preposition."""


def name_of(word: str, language: str) -> str:
    """A quadrant, step, sign, component, label or outcome; an unknown one stays as it is."""
    return NAMES[language].get(word, word)


def days(number: float, language: str) -> str:
    """Such as "3 days"; in Arabic the noun takes the form that the number asks for, in the genitive."""
    whole = int(number)
    if language == "en":
        return f"{whole:,} day" if whole == 1 else f"{whole:,} days"
    one, two, few, many, hundreds = _DAY
    if whole in (1, 2):
        return one if whole == 1 else two
    if 3 <= whole % 100 <= 10:
        return f"{whole:,} {few}"
    return f"{whole:,} {many if whole % 100 > 10 else hundreds}"


def date(at: float, language: str) -> str:
    """A day in UTC, such as "3 May 2026"."""
    day = datetime.fromtimestamp(at, UTC)
    month = f"{day:%B}" if language == "en" else _ARABIC_MONTHS[day.month - 1]
    return f"{day.day} {month} {day.year}"


def amount(value: float, currency: str | None = None) -> str:
    """Such as "1,500 SAR"; decimals only where there are any."""
    text = f"{value:,.2f}".removesuffix(".00")
    return f"{text} {currency}" if currency else text
