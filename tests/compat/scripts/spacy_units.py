"""spaCy: all languages of the API have rules or fall back; offsets hold; sentences are as the service prints them."""

import json
from pathlib import Path

import spacy

import hostmaker
from hostmaker.clarify import segmentation
from hostmaker.clarify.config import Granularity, TextSettings
from hostmaker.clarify.pipelines import WITHOUT_RULES, pipeline
from hostmaker.clarify.text import BUILT_IN, engine, segmenter

MODEL = Path(hostmaker.__file__).parent / "wire" / "service_models" / "sagemaker.json"
LANGUAGES = json.loads(MODEL.read_text())["shapes"]["ClarifyTextLanguage"]["enum"]
REVIEW = [
    "i liked all of the colours that i had seen on the page...and i was upset.",
    "the fabric is thin and scratchy, it is see-through, and the seams came apart soon!",
    "it runs large; i am usually a medium, and here a small would have been far too big.",
    "would not recommend it, and i am going to send it back next week.",
]
TEXTS = [
    " ".join(REVIEW),
    "  Two  spaces,\n\n line breaks\r\n\tand\u00a0others \u2029 end. ",
    'He said "no." (Really?) „Nein.“ «Oui.» l\'été e.g. 3.14 U.S. $5 a@example.com #tag',
    "👨\u200d👩\u200d👧 👍🏽 🇩🇪 e\u0301 \u200fשלום\u200f نمی\u200cدانم؟ मैं घर गया। 你好。再见！",
    "",
    " \n ",
    "(" * 3000,
]
PLAIN = {
    "ar": "ذهبت إلى البيت. هل بقيت؟ نعم.",
    "bn": "আমি বাড়ি গেলাম। সে থাকল।",
    "de": "Ich ging nach Hause. Sie blieb. Warum?",
    "en": "I went home. she stayed... and why? because!",
    "es": "Fui a casa. Ella se quedó. Vale.",
    "fa": "به خانه رفتم. چرا؟ نمی\u200cدانم.",
    "fr": "Je suis allé. Elle est restée. Pourquoi?",
    "he": "הלכתי הביתה. למה? ככה.",
    "hi": "मैं घर गया। वह वहीं रही।",
    "kn": "ನಾನು ಮನೆಗೆ ಹೋದೆ. ಅವಳು ಉಳಿದಳು.",
    "ru": "Я пошёл домой. Она осталась.",
    "ta": "நான் வீட்டிற்குச் சென்றேன். அவள் இருந்தாள்.",
    "ur": "میں گھر گیا۔ وہ وہیں رہی۔ کیوں؟ ہاں۔",
}

assert len(LANGUAGES) == 60
for language in LANGUAGES:
    told = engine(TextSettings(language, Granularity.TOKEN))
    assert told == (BUILT_IN if language in WITHOUT_RULES else f"spaCy {spacy.__version__}"), (language, told)
    for granularity in Granularity:
        split = segmenter(TextSettings(language, granularity))
        for text in TEXTS:
            end = 0
            for unit in split(text):
                assert unit.text == unit.text.strip() != "", (language, unit)
                assert text[unit.start : unit.start + len(unit.text)] == unit.text, (language, unit)
                assert text[end : unit.start].strip() == "", (language, unit)
                end = unit.start + len(unit.text)
            assert text[end:].strip() == "", (language, text)

# Languages whose packages are not there, and those that nobody knows.
for language in ("ja", "ko", "th", "vi", "no-such-language"):
    assert segmenter(TextSettings(language, Granularity.SENTENCE))("One. Two.")[1].start == 5, language

units = segmenter(TextSettings("en", Granularity.SENTENCE))(TEXTS[0])
assert [(unit.text, unit.start) for unit in units] == list(zip(REVIEW, (0, 74, 157, 241), strict=True))
assert [unit.text for unit in segmenter(TextSettings("en", Granularity.TOKEN))("Good, really")] == [
    "Good",
    ",",
    "really",
]

for language, text in PLAIN.items():
    by_spacy = [unit.text for unit in segmenter(TextSettings(language, Granularity.SENTENCE))(text)]
    built_in = [text[start:stop].strip() for start, stop in segmentation.sentences(text, language)]
    assert by_spacy == built_in, (language, by_spacy, built_in)

# What was read before is forgotten: a server that explains for a year does not grow.
rules = pipeline("en")
assert rules is not None
split = segmenter(TextSettings("en", Granularity.TOKEN))
split("warm up")
known = len(rules.vocab.strings)
split(" ".join(f"word{number}" for number in range(10_000)))
assert len(rules.vocab.strings) == known, "spaCy keeps the words of texts"
