"""Units of text: what must hold for every text in every language, and how texts of many scripts are split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import hostmaker.wire
from hostmaker.clarify import segmentation
from hostmaker.clarify.config import Granularity, TextSettings
from hostmaker.clarify.pipelines import SQUARES, is_affordable
from hostmaker.clarify.text import BUILT_IN, LINE_BREAKS, Unit, engine, segmenter

MODEL = json.loads((Path(hostmaker.wire.__file__).parent / "service_models" / "sagemaker.json").read_text())
LANGUAGES: list[str] = MODEL["shapes"]["ClarifyTextLanguage"]["enum"]
FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
PIECES = [
    *("word", "Word", "don't", "3.14", "1,000", "e.g.", "U.S.", "...", "!?", ".", "。", "！", "।", "։", "؟", "۔", ";"),
    *('"', "“", "”", "«", "»", "(", ")", "' ", " ", "\n", "\r\n", "\u2029", "\u00a0", "\u200b", "\u200d", "\u200f"),
    *(
        "你好",
        "ラーメン",
        "สวัสดี",
        "ខ្មែរ",
        "မြန်မာ",
        "é",
        "e\u0301",
        "\u0301",
        "\u17d2",
        FAMILY,
        "👍🏽",
        "🇩🇪",
        "1️⃣",
        "\x00",
    ),
]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join))


@pytest.fixture(autouse=True, scope="module")
def without_spacy() -> None:
    """The tests' environment has no spaCy: `segmenter` gives the built-in rules. With it: `make compat`."""
    assert engine(TextSettings("en", Granularity.TOKEN)) == BUILT_IN


def split(text: str, language: str, granularity: Granularity) -> list[str]:
    return [unit.text for unit in segmenter(TextSettings(language, granularity))(text)]


def tokens(text: str, language: str = "xx") -> list[str]:
    return split(text, language, Granularity.TOKEN)


def sentences(text: str, language: str = "xx") -> list[str]:
    return split(text, language, Granularity.SENTENCE)


def paragraphs(text: str) -> list[str]:
    return split(text, "xx", Granularity.PARAGRAPH)


@given(TEXTS, st.sampled_from(LANGUAGES), st.sampled_from(Granularity))
def test_units_are_parts_of_the_text_in_order_and_leave_only_white_space(
    text: str, language: str, granularity: Granularity
) -> None:
    end = 0
    for unit in segmenter(TextSettings(language, granularity))(text):
        assert unit.text == unit.text.strip() != ""
        assert text[unit.start : unit.start + len(unit.text)] == unit.text
        assert text[end : unit.start].strip() == ""
        end = unit.start + len(unit.text)
    assert text[end:].strip() == ""


@example("。\u200b\u200c0", "af")  # a joiner after a break: both go with the stop before
@given(TEXTS, st.sampled_from(LANGUAGES))
def test_a_token_is_within_one_sentence(text: str, language: str) -> None:
    starts = {start for start, _ in segmentation.sentences(text, language)}
    for start, stop in segmentation.words(text, language):
        assert starts.isdisjoint(range(start + 1, stop))


@given(TEXTS, st.sampled_from(LANGUAGES))
def test_a_token_has_no_white_space(text: str, language: str) -> None:
    assert all(token.split() == [token] for token in tokens(text, language))


def test_sentences_as_the_service_has_printed_them() -> None:
    """Four sentences of 73, 82, 83 and 65 characters, all in small letters; three dots end none."""
    told = [
        "i liked all of the colours that i had seen on the page...and i was upset.",
        "the fabric is thin and scratchy, it is see-through, and the seams came apart soon!",
        "it runs large; i am usually a medium, and here a small would have been far too big.",
        "would not recommend it, and i am going to send it back next week.",
    ]
    units = segmenter(TextSettings("en", Granularity.SENTENCE))(" ".join(told))
    assert [unit.text for unit in units] == told
    assert [unit.start for unit in units] == [0, 74, 157, 241]


def test_offsets_count_code_points() -> None:
    assert segmenter(TextSettings("en", Granularity.TOKEN))("👍🏽 ñandú, 你") == (
        Unit("👍🏽", 0),
        Unit("ñandú", 3),
        Unit(",", 8),
        Unit("你", 10),
    )


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [
        ("en", "Good, really", "Good|,|really"),
        ("en", "I don't pay $1,234.50 (5%)!", "I|don't|pay|$|1,234.50|(|5|%|)|!"),
        ("en", "The dogs' page...and a well-known snake_case", "The|dogs|'|page|.|.|.|and|a|well|-|known|snake_case"),
        ("en", "Ask a@example.com, e.g. in the U.S.", "Ask|a|@|example.com|,|e.g|.|in|the|U.S|."),
        ("en", "It ended.Then at 12:30, 3, 4", "It|ended|.|Then|at|12|:|30|,|3|,|4"),
        ("fr", "L'été, j’ai « vu » aujourd'hui", "L'été|,|j’ai|«|vu|»|aujourd'hui"),
        ("fr", "e\u0301te\u0301 l'e\u0301te\u0301", "e\u0301te\u0301|l'e\u0301te\u0301"),
        ("ca", "col·lecció", "col·lecció"),
        ("de", "„Größe“ 1.234,5", "„|Größe|“|1.234,5"),
        ("es", "¿Qué? ¡No!", "¿|Qué|?|¡|No|!"),
        ("el", "Γιατί; Έτσι.", "Γιατί|;|Έτσι|."),
        ("ru", "Я пошёл домой.", "Я|пошёл|домой|."),
        ("hy", "Ինչո՞ւ։", "Ինչո՞ւ|։"),
        ("hi", "मैं घर गया। ठीक", "मैं|घर|गया|।|ठीक"),
        ("bn", "আমি বাড়ি গেলাম।", "আমি|বাড়ি|গেলাম|।"),
        ("ta", "நான் வீட்டிற்குச் சென்றேன்.", "நான்|வீட்டிற்குச்|சென்றேன்|."),
        ("ar", "هل بَقِيتَ؟ ٣٫١٤", "هل|بَقِيتَ|؟|٣٫١٤"),
        ("fa", "نمی\u200cدانم، خب", "نمی\u200cدانم|،|خب"),
        ("he", 'צה"ל וג׳ירפה', 'צה"ל|וג׳ירפה'),
        ("he", "\u200fשלום\u200f, \u200fעולם", "\u200fשלום\u200f|,|\u200fעולם"),
        ("zh", "我用Python 3.11，好！", "我|用|Python|3.11|，|好|！"),
        ("ja", "ラーメンを食べた。らーめん", "ラーメン|を|食|べ|た|。|らー|め|ん"),
        ("ko", "안녕하세요, 세계!", "안녕하세요|,|세계|!"),
        ("th", "สวัสดี น้ำ", "ส|วั|ส|ดี|น้ำ"),
        ("km", "ភាសាខ្មែរ។", "ភា|សា|ខ្មែ|រ|។"),
        ("my", "မြန်မာ။", "မြ|န်|မာ|။"),
        ("xx", f"{FAMILY}👍🏽🇩🇪🇫🇷❤️1️⃣2️⃣🏳️\u200d🌈", f"{FAMILY}|👍🏽|🇩🇪|🇫🇷|❤️|1️⃣|2️⃣|🏳️\u200d🌈"),
        ("xx", " \t\r\n\u2029", ""),
    ],
)
def test_tokens(language: str, text: str, told: str) -> None:
    assert tokens(text, language) == [each for each in told.split("|") if each]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "is it?| yes!| no... not at all.| well"),
        ("en", 'He said "no."| "Yes," she said.| (Really!)| Then they left.'),
        ("en", "It ended.|Then it was 3.14 at example.com!| Great!| 😀"),
        ("en", "Mail J. Smith, e.g. in the U.S. or so.| Wow!!!| What?!| 1.| First\nline\n\n2.| Second"),
        ("en", "wait… what"),
        ("en", "Great!😀👍🏽| More."),
        ("de", "„Nein.“| Er ging.| »Doch!«| Na gut."),
        ("fr", "« Oui. »| Non !| »Si.«| (Ah.)| C'est l'été.| Fin"),
        ("es", "¿Qué?| ¡No!| Vale."),
        ("el", "Πήγα σπίτι.| Γιατί;| Έτσι."),
        ("ru", "Я пошёл домой.| А она?| она осталась."),
        ("hy", "Ես գնացի տուն։| Նա մնաց։| Ինչո՞ւ։"),
        ("hi", "मैं घर गया।| वह वहीं रही।|क्यों?| ठीक"),
        ("bn", "আমি বাড়ি গেলাম।| সে থাকল।"),
        ("sa", "अहं गच्छामि।| सः तिष्ठति॥| इति"),
        ("gu", "હું ઘરે ગયો.| તે રહી."),
        ("ml", "ഞാൻ വീട്ടിൽ പോയി.| അവൾ നിന്നു."),
        ("ta", "நான் வீட்டிற்குச் சென்றேன்.| அவள் இருந்தாள்."),
        ("ar", "ذهبت إلى البيت.| هل بقيت؟| نعم!"),
        ("ur", "میں گھر گیا۔| کیوں؟| ہاں۔"),
        ("fa", "به خانه رفتم.| چرا؟| نمی\u200cدانم."),
        ("he", "הלכתי הביתה.| למה?| ככה."),
        ("zh", "他说：“你好。”|再见！|“我们。”|圆周率是3.14吗?|好!|Yahoo!知恵袋を日本.comで"),
        ("ja", "「行くの？」|はい。|ラーメン１．５杯"),
        ("ko", "나는 집에 갔다.| 그녀는 남았다.| 나.| 너"),
        ("th", "สวัสดีครับ ผมชื่อ"),
        ("km", "ខ្ញុំ។|គាត់"),
        ("my", "မြန်မာ။|ပြီ"),
        ("am", "ሄድኩ።| ለምን፧| እሺ"),
        ("bo", "བོད།|ཡིག"),
        ("xx", "\u200fשלום.\u200f| \u200fעולם"),
        ("xx", "  \n "),
    ],
)
def test_sentences(language: str, text: str) -> None:
    """Sentences end at the bars, and nowhere else."""
    told = [part.strip() for part in text.split("|")]
    assert sentences(text.replace("|", ""), language) == [part for part in told if part]


def test_paragraphs_end_at_line_breaks() -> None:
    assert paragraphs("One. Two.\r\n\r\n  three \rfour\u2029five\n\n \n") == ["One. Two.", "three", "four", "five"]
    assert paragraphs("one\u2028line\x0bof\x85text") == ["one\u2028line\x0bof\x85text"]
    assert paragraphs(" \n ") == []


def test_the_engine_is_named() -> None:
    assert engine(TextSettings("zh", Granularity.SENTENCE)) == BUILT_IN
    assert engine(TextSettings("en", Granularity.PARAGRAPH)) == LINE_BREAKS


def test_a_language_that_nobody_knows_is_split_all_the_same() -> None:
    assert tokens("Hei, verden", "no-such-language") == ["Hei", ",", "verden"]


def test_long_texts_without_white_space_are_too_much_for_spacy() -> None:
    assert is_affordable("word " * 1_000_000)
    assert is_affordable("(" * 2000)
    assert not is_affordable("(" * 2100)
    assert not is_affordable(("(" * 2000 + " ") * 2000)
    assert SQUARES == 2000**2


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "pattern", ["a.", "A.", "。“", "!“", "!“ ", "1,", "e\u0301'", "👍\u200d", "ខ្", "\u0301", '."', "z\u200b"]
)
def test_the_time_is_linear(pattern: str) -> None:
    text = pattern * (500_000 // len(pattern))
    assert sum(len(token) for token in tokens(text)) == len(text) - text.count(" ")
    assert sum(len(sentence.replace(" ", "")) for sentence in sentences(text)) == len(text) - text.count(" ")
