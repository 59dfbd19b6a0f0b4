"""What is told by fixed phrases, in the words that people use, and the words that must not be taken so."""

from __future__ import annotations

import pytest

from model.preparation import prepare
from serving.index.phrases import asks, closes, refuses_work, takes_back


@pytest.mark.parametrize(
    "text",
    [
        "That's not part of your plan, but it can be added for 20 a month.",
        "This is outside our plan",
        "We don't build custom features for single customers, sorry.",
        "Sorry, writing product descriptions is not something we do.",
        "A mobile app is out of scope.",
        "دي مش من ضمن الخدمة يا فندم",
        "غير متاح حاليا ضمن الباقة",
        "مش بنقدم الخدمة دي",
        "هذي مو ضمن الباقة طال عمرك",
        "للأسف هذا الطلب خارج نطاق خدماتنا",
        "هيدا مش ضمن الاتفاق",
        "ما منعمل فيديوهات",
        "هادشي ما داخلش فالاشتراك ديالكم",
        "نعتذر منكم، هذه الميزة غير مشمولة في باقتكم الحالية",
        "da mesh men damn el ba2a ya fandem",
    ],
)
def test_work_outside_the_product_is_refused(text: str) -> None:
    assert refuses_work(text)


@pytest.mark.parametrize(
    "text",
    [
        "We don't offer refunds on made-to-order pieces.",
        "Your subscription does not include a refund for months already used.",
        "The fix is not available yet.",
        "This isn't handled by our team, I've forwarded it to logistics.",
        "Yes, this is part of your plan, I've switched it on.",
        "The extra fee is not part of your contract, it was our mistake.",
        "Your address is outside our delivery area.",
        "You wrote outside our service hours, we're back at nine.",
        "Water damage isn't covered by the warranty.",
        "The machine is out of service, the technician comes today.",
        "We do not make you wait on purpose.",
        "المنتج غير متوفر في المخزن حاليا",
        "هذا ليس من اختصاصنا وتم تحويله إلى قسم الشحن",
        "مش بنقدم استرداد على المنتجات المخفضة",
        "منطقتك خارج نطاق الخدمة حاليا",
        "الخط خارج الخدمة حاليا والفني في الطريق",
        "المبلغ غير ظاهر في اشتراكك وراجعناه مع المحاسبة",
        "ما نقدر نرجع المبلغ بعد 14 يوم",
        "msh hn2dar nrag3 el feloos",
    ],
)
def test_other_answers_are_no_refusal_of_work(text: str) -> None:
    assert not refuses_work(text)


def test_a_refusal_quoted_far_below_is_not_this_answers() -> None:
    assert not refuses_work("All done, see below. " + "- " * 300 + "This is outside our plan")


@pytest.mark.parametrize(
    "text",
    [
        "tamam kda",
        "خلاص تمام اتحلت",
        "تماااام",
        "all good now",
        "It works now, thank you so much",
        "👍",
        "ok",
        "no thanks",
        "صافي شكرا بزاف",
        "يعطيك العافية وصلت",
    ],
)
def test_a_closing_needs_no_reply(text: str) -> None:
    assert closes(prepare(text).text)


@pytest.mark.parametrize(
    "text",
    [
        "no working",
        "not ok",
        "NOW!",
        "😡",
        "",
        "ok?",
        "still good",
        "great, broken again",
        "thanks for nothing",
        "ما اتحلت",
        "لا شغال",
        "وصلت ناقصة",
    ],
)
def test_a_complaint_is_no_closing(text: str) -> None:
    assert not closes(prepare(text).text)


@pytest.mark.parametrize("text", ["fixed?", "متى توصل", "3ayez a3raf", "please call me"])
def test_a_question_or_a_wish_asks(text: str) -> None:
    assert asks(prepare(text).text)


@pytest.mark.parametrize(
    "text",
    [
        "I take that back, I'm sorry",
        "I apologise for my words last night",
        "Sorry about how I spoke earlier",
        "حقك عليا مكنش قصدي اهددكم",
        "آسف على كلامي",
        "حقكم علي كنت معصب",
        "بسحب كلامي",
        "سمح ليا على داك الكلام",
        "كتير متأسفة عاللي حكيتو مبارح",
        "أعتذر عما بدر مني",
        "asef 3ala kalamy embare7",
    ],
)
def test_own_words_are_taken_back(text: str) -> None:
    assert takes_back(prepare(text).text)


@pytest.mark.parametrize(
    "text",
    [
        "You should apologise for what you said",
        "I'm not sorry for what I said",
        "I take back nothing",
        "I'll take it back to the shop on Monday",
        "sorry for my english",
        "اعتذر عن كلامك",
        "لازم تعتذروا على اللي قلتوه",
        "مش آسف على كلامي",
        "لن اعتذر عن كلامي",
        "آسف على الإزعاج",
        "آسف بس انت قلت يومين",
    ],
)
def test_other_apologies_take_nothing_back(text: str) -> None:
    assert not takes_back(prepare(text).text)
