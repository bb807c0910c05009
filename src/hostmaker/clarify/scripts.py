"""Says of each character what it does in a text: a string of kinds, one letter for each character. Pure.

    s  white space                        c  letter of a script without spaces   d  full stop (.)
    A  capital letter                     k  Katakana                            t  ends a sentence before a space
    a  small letter                       v  joins two letters of kind c         T  ends a sentence wherever it stands
    h  Hebrew letter                      y  symbol, emoji                       e  closing bracket or quotation mark
    o  letter of any other script         r  half of a flag                      w  opening one, which may close as well
    n  digit                              m  belongs to what is before it        g  straight quotation mark
    u  underscore                         j  the same, and joins two emoji       q  apostrophe
    p  anything else                      z  the same, and ends a word           x  dot inside words
                                                                                 i  comma inside numbers

Kinds come from the Unicode database of the interpreter: categories and names, so that new scripts come with it.
"""

from __future__ import annotations

import unicodedata

SENTENCE_ENDS_OF = {"el": ";"}  # a language's own use of a mark that elsewhere is another
_FIXED = {
    **dict.fromkeys("'’＇՚", "q"),
    **dict.fromkeys("·‧", "x"),
    **dict.fromkeys('"״＂', "g"),
    **dict.fromkeys(",٫٬", "i"),
    **dict.fromkeys("!?\u037e‼⁇⁈⁉‽⸮．﹒﹖﹗", "t"),
    **dict.fromkeys("།༎។៕၊", "T"),  # of Tibetan, Khmer and Myanmar; their names do not say it
    **dict.fromkeys("՛՜՞", "m"),  # Armenian marks that stand on a vowel inside the word
    **dict.fromkeys("ーｰำຳ", "m"),  # long vowel of Japanese, vowels of Thai and Lao with a mark
    **dict.fromkeys("្္", "v"),
    "׳": "h",
    "။": "T",
    ".": "d",
    "\u200d": "j",
    "\u200b": "z",
    "\u20e3": "z",  # the frame of a keycap
}
_ENDS_A_SENTENCE = ("FULL STOP", "QUESTION MARK", "EXCLAMATION MARK", "DANDA", "ETHIOPIC PARAGRAPH SEPARATOR")
_WITHOUT_SPACES = (
    *("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "BOPOMOFO ", "TANGUT ", "NUSHU ", "YI "),
    *("THAI ", "LAO ", "KHMER ", "MYANMAR ", "TAI ", "NEW TAI ", "AHOM ", "BALINESE ", "JAVANESE "),
)
_KATAKANA = ("KATAKANA ", "HALFWIDTH KATAKANA ")
_BY_CATEGORY = {
    **dict.fromkeys(("Mn", "Mc", "Me", "Cf"), "m"),
    **dict.fromkeys(("Nd", "No"), "n"),
    **dict.fromkeys(("Sc", "Sk", "Sm", "So", "Cn", "Co"), "y"),  # characters that are newer than the database: emoji
    **dict.fromkeys(("Lu", "Lt"), "A"),
    **dict.fromkeys(("Pe", "Pf"), "e"),
    **dict.fromkeys(("Ps", "Pi"), "w"),
    "Ll": "a",
    "Pc": "u",
}


def kinds(text: str, language: str) -> str:
    """Give the kinds of a text's characters, as long as the text."""
    table = {ord(character): _kind(character) for character in set(text)}
    table.update((ord(mark), "t") for mark in SENTENCE_ENDS_OF.get(language, ""))
    return text.translate(table)


def _kind(character: str) -> str:
    if character.isspace():
        return "s"
    if fixed := _FIXED.get(character):
        return fixed
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return "r"
    if "\U0001f3fb" <= character <= "\U0001f3ff":  # colours of skin
        return "m"
    category = unicodedata.category(character)
    if category in ("Lo", "Lm", "Nl"):
        return _kind_of_letter(unicodedata.name(character, ""))
    if category == "Po":
        name = unicodedata.name(character, "")
        opens = "INVERTED" in name or "INITIAL" in name
        return "T" if not opens and any(end in name for end in _ENDS_A_SENTENCE) else "p"
    return _BY_CATEGORY.get(category, "p")


def _kind_of_letter(name: str) -> str:
    if name.startswith(_WITHOUT_SPACES):
        return "c"
    if name.startswith(_KATAKANA):
        return "k"
    return "h" if name.startswith("HEBREW ") else "o"
