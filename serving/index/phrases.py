"""What fixed phrases tell where no model is needed: a refusal, a closing, a question, a withdrawal.

When unsure each says no. They read what the model reads (a text prepared by `model.preparation`), in
Arabic and its main dialects, in Arabizi and in English.
"""

from __future__ import annotations

import re

from model.preparation import prepare


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_OPENING = 500
"""Characters in which a refusal stands; further down an e-mail quotes what was written before."""

_CONTRACT = r"(?:scope|plans?|package|subscription|contract|agreement|services?|product)\b"
_WORK = r"(?:services?|features?|designs?|apps?|videos?|training|courses|content|integrations?)\b"
_NOT = "(?:مش|موش|مو|مهو|مب|ليس|ليست|غير|ما)"
_INCLUDED = "(?:ضمن|داخل[ةه]?|داخلا?ش|مشمول[ةه]?|متضمن[ةه]?|متاح[ةه]?|متوفر[ةه]?)"
_ITS_CONTRACT = "(?:في |ف)?ب?(?:ال|ل)?(?:باق[ةهت]|اشتراك|خط[ةهت]|عقد|اتفاق|نطاق|خدم[ةهت]|خدمات)"
_OUR_WORK = "(?:خدم(?:ات|ت)نا|شغلنا|عملنا|ال(?:خدم[ةه]|برنامج) (?:ديالنا|بتاعنا|تبعنا))"
_DO = "(?:ب|م|ك)?ن(?:قدم|وفر|عمل|سوي|دير|طور)و?ش?"
_ARABIC_WORK = (
    "(?:ال|هال)?(?:خدم[ةه]|خدمات|ميز[ةه]|ميزات|تصميم|تصاميم|تطبيق|فيديو|دور[ةه]|دورات|محتوى|تدريب)"
)
_ARABIZI_CONTRACT = "(?:ba[2q]a|package|[ei]sht[ei]rak|abonnement|[ei]t+[ei]fa[2q]|3a[9q]d)"

_REFUSALS = _any_of(
    r"(?:is|are|'s|'re)(?: not|n't) (?:\w+ )?(?:part of|included in|covered (?:by|in)|within)"
    rf" (?:what we (?:do|offer)|(?:\w+ ){{0,3}}{_CONTRACT})",
    r"\bout of (?:our |the )?scope\b",
    rf"\b(?:outside|beyond) (?:of )?(?:our|your|the) (?:\w+ of )?(?:\w+ )?{_CONTRACT}(?! (?:hours|times?))",
    r"\b(?:outside|beyond) (?:of )?what (?:we|(?:our|your|the) \w+) (?:can )?"
    r"(?:do|offer|provide|covers?|includes?)\b",
    r"\bwe (?:do not|don't) (?:offer|provide|do|build|make|develop|create|write)"
    rf" (?:\w+ ){{0,2}}{_WORK}",
    r"\b(?:not|isn't|aren't) (?:a service|something|services|things) (?:that |which )?we"
    r" (?:do|offer|provide|build|make|cover)\b",
    rf"\b{_NOT} (?:من )?{_INCLUDED} (?:\w+ ){{0,2}}{_ITS_CONTRACT}",
    rf"\b(?:ماشي|{_NOT}) من (?:ضمن )?{_OUR_WORK}",
    r"\b(?:خارج[ةه]?|برا|بره) (?:عن |على |من )?(?:(?:نطاق|حدود|اطار) )?"
    rf"(?:(?:ال|ل)?(?:باق[ةهت]|اشتراك|عقد|اتفاق)|{_OUR_WORK})",
    rf"\b(?:لا|ما|مش|مو) ?{_DO} (?:\w+ )?{_ARABIC_WORK}",
    r"\bهالخدم[ةه] (?:ما|مش|مو) (?:ب|م)?نقدمها\b",
    r"\b(?:m[eio]?sh|m[ou]|ma|machi) (?:m[ei]?n )?(?:d[aei]?m[aei]?n|da[k5]h?[ei]?la?(?:ch|sh)?)"
    rf" (?:\w+ )?(?:f?[ei]?l? |l')?{_ARABIZI_CONTRACT}",
    r"\b(?:m[eio]?sh|m[ou]|machi) m[ei]?n (?:[k5]h?adamatna|shoghlna)\b",
    rf"\bbar+a (?:3an )?[ei]l {_ARABIZI_CONTRACT}",
)
_NOT_WORK = re.compile(
    r"refund|return|charge|\bfee|mistake|compensat|warrant|guarantee|deliver|courier|area\b"
    r"|forward|transfer|department|esterdad|estirdad|7awel"
    r"|رسوم|غلط|خطا\b|استرد|استرجاع|ارجاع|ترجيع|مرتجع|تعويض|ضمان|توصيل|الشحن|منطق[ةهت]|عنوان"
    r"|قسم|اختصاص|حولنا|تحويل"
)
"""Refused, but no work: money back, a place that is not served; or a word for the company's own fault,
or for sending the customer elsewhere."""


def refuses_work(text: str) -> bool:
    """Whether the company refuses work that its product does not include; the text is prepared here,
    as far as it is looked at.
    """
    opening = prepare(text[:_OPENING]).text
    return bool(_REFUSALS.search(opening)) and not _NOT_WORK.search(opening)


_FEW_WORDS = 8
_COURTESY = _words(
    """ok okay okey k thanks thank thx ty cheers noted great perfect fine done got well good sure
    welcome tamam tmam shokran shukran merci mersi mashy mashi 7ader hader 5alas khalas khlas safi
    wakha teslam tslam yeslamo yislamo اوك اوكي اوكيه تمام ماشي طيب شكرا مشكور مشكورين متشكر متشكرين
    تسلم تسلمي تسلمو تسلموا يسلمو حاضر خلاص خلص صافي واخا زين حلو كويس مزيان منيح تم يعطيك يعطيكم
    العافية يعافيك يعافيكم يسعدك يخليك يبارك حسنا ممتاز ميرسي عفوا الحمد الفل"""
)
_SOLVED = _words(
    """solved fixed sorted resolved works working worked et7allet et7alet et7al t7allat eshtaghalet
    eshtaghal eshta8al zabtet زبطت ضبطت ظبطت اتظبطت اتحلت اتحل انحلت انحل تحلت تحلات اتصلحت تصلحت
    اشتغلت اشتغل شغال شغالة وصلت وصل وصلني وصلتني رجعت انتهت انتهينا"""
)
_YES_OR_NO = _words("yes yep no لا نعم ايوه ايوا اه la la2 aywa")
_FILLERS = _words(
    """all it that's thats that is now you so much very a lot too for by bye today the everything
    keda kda kolo dlwa2ty gedan awy 3leik fandem ya 7abibi habibi lel lellah الله لله ربنا كده كدا كذا
    هيك هكا كله كلو كل شي شيء حاجة دلوقتي الحين هلق هلا دابا توا الان جدا اوي كتير كثير بزاف مرة لكم لك
    الك يا فندم باشا اخي اخوي خويا حبيبي استاذ غالي و مع جزيلا زي"""
)
_CLOSING_SIGNS = frozenset("👍👌🙏✅🌹💐❤🤝😊")
"""Emoji that close a conversation; an angry one alone is no thanks."""

_WORD = re.compile(r"[^\W_](?:[\w']*\w)?")
_QUESTION = re.compile("[?؟]")


def closes(prepared: str) -> bool:
    """Whether a message only takes note, says thanks or that it is solved ("خلاص تمام اتحلت", "👍").

    Each word must be one of these, so that nothing that asks or complains is let through; "no" must
    not stand beside a word for solved ("no working").
    """
    if _QUESTION.search(prepared):
        return False
    words = _WORD.findall(prepared)
    if not words:
        return not _CLOSING_SIGNS.isdisjoint(prepared)
    said = set(words) - _FILLERS
    known = said <= _COURTESY | _YES_OR_NO or said <= _COURTESY | _SOLVED
    return bool(said) and known and len(words) <= _FEW_WORDS


_ASKING = _words(
    """متى امتى ايمتى وين فين اين كيف ازاي ليش ليه علاش لماذا كم بكام شو ايش وش هل مين شحال واش وقتاش
    كيفاش شنو شكون ممكن يمكن بدي بدنا عايز عايزة عاوز عاوزة محتاج محتاجة ابغى ابغا ابي نبي اريد بغيت نحب
    ارجو نرجو رجاء الرجاء اطلب لازم ياريت when where why how what which who whose can could would will
    please pls need needs want wants may shall should help asking request emta fen feen fin leh leih
    ezay ezzay 3ayez 3ayz 3awez momken mumkin ayemta wen ween kif kifach 3lach wach w9tach chnou a7taj
    b8et bghit bedi baddi abi abgha 3aiz"""
)


def asks(prepared: str) -> bool:
    """Whether a message asks or wants something: a question mark, or a word that asks."""
    if _QUESTION.search(prepared):
        return True
    return not _ASKING.isdisjoint(_WORD.findall(prepared))


_NOT_EVER = r"(?<!not )(?<!n't )(?<!never )(?<!be )"
_NEVER = r"(?<!مش )(?<!مو )(?<!مب )(?<!لست )(?<!لن )(?<!ما )(?<!راح )"
_SORRY = (
    r"\b(?:و?ا?اسف[ةه]?|متاسف[ةه]?|[با]عتذر|معتذر|حقك[مون]? عل[يى]ا?|سامح(?:و|ي)?ني|سمحو? لي[اي]?)"
)
_OWN_WORDS = (
    "(?:كلامي|اسلوبي|لهجتي|تهديدي|عصبيتي|انفعالي|(?:ما )?بدر مني|حد[ةه] رسالتي|رسالتي السابق[ةه]"
    "|ب?ا?ل?عصبي[ةه]|و?مت?عصب[ةه]?|متنرفز[ةه]?|اتنرفزت|ا?تعصبت|عصبت|انفعلت|زودتها|[ا]?هددتكم|هددتك"
    "|اهددكم|داك الكلام|كنت مقلق)"
)

_WITHDRAWALS = _any_of(
    r"\bi (?:hereby |do )?take (?:it|that|this|them|everything|all of it|what i said|my words) back\b"
    r"(?! (?:to|on|from|for)\b)",
    r"\bi (?:hereby |do )?take back (?:what|everything|every|all|my (?:words|threats?)|the threats?)\b",
    rf"{_NOT_EVER}(?:\bsorry|\bi (?:do |must |really |sincerely |want to )?apologi[sz]e|\bmy apologies)"
    r" (?:for|about) (?:what i (?:said|wrote)|how i (?:spoke|talked|wrote|was)|the way i"
    r"|my (?:words|tone|language|outburst|behaviou?r|temper|threats?|anger|comments?"
    r"|(?:last|earlier|rude) (?:message|words))|threatening|shouting|being (?:so )?(?:rude|short))",
    r"\bi was (?:so |very |really |bang )?(?:rude|out of (?:line|order))\b",
    r"\bi (?:didn't|did not|never) mean (?:to threaten|what i (?:said|wrote))",
    r"\b(?:ب?اسحب|سحبت|[بن]سحب) (?:كل )?(?:كلامي|تهديدي|التهديد|اللي قلته|ما قلته|الكلام)",
    r"\b(?:اتراجع|تراجعت|[بن]?رجع|راجع) (?:عن|في) (?:كلامي|تهديدي|التهديد)",
    r"\b(?:مكنش|مكانش|ماكانش|ما كانش|ما كان|مو|مش|لم يكن) (?:من )?قصدي (?:ان )?"
    r"(?:[انب]هدد|اسي|اجرح|اغلط|اشتم|التهديد)",
    r"\b(?:ما|لم) (?:قصدت|اقصد|كنت اقصد) (?:[ان]هدد|اسي|اجرح|الاساء[ةه]|التهديد)|\bما كنقصدش\b",
    rf"{_NEVER}{_SORRY}(?:\W+\w+){{0,4}}?\W+ل?{_OWN_WORDS}",
    rf"{_NEVER}\b(?:و?اسف[ةه]?|متاسف[ةه]?|بعتذر) (?:جدا |كتير |مر[ةه] )?(?:على|ع|عن|اني|اذا|لو)\W*"
    r"(?:الكلام|اللي|ال?لي|الكلم[ةه]|ما|كل) ?(?:اللي |كلم[ةه] )?(?:قلت|كتبت|حكيت)",
    r"\b(?:2?as[ei]f|2?asfa|[ab]*3tezer|sam7on[iy]|(?:el )?7a[2q]+(?:ok|k|ko|kom)? 3al(?:aya|ya|ay))"
    r"(?:\W+[\w']+){0,4}?\W+(?:kalam[yi]|el kalam|(?:el|3al) 3asabeya|3asab[yi]|met3asab|metnarfez"
    r"|etnarfezt|et3asabt|hadedt)",
    r"\b(?:bas7ab|as7ab) kalam[yi]",
)


def takes_back(prepared: str) -> bool:
    """Whether the customer withdraws his own words, or is sorry for them; not where he wants others to
    be, nor for the trouble that he makes.
    """
    return bool(_WITHDRAWALS.search(prepared))
