"""International domain names: what an ``xn--`` label must be, and the ASCII form of one that people write. Pure.

What this module decides: that an A-label stands for exactly one U-label, made of letters, digits and marks that IDNA2008 allows by their category
(RFC 5891 section 4.2, RFC 5892 section 2), in the one normal and lower-case form. Left out, and therefore refused: characters that RFC 5892 allows in
certain contexts only (joiners, middle dots), and nothing is said about writing directions (RFC 5893). A label that passes is still no promise that it
looks like nothing else; profiles grant names by pattern.
"""

from __future__ import annotations

import unicodedata

PREFIX = "xn--"
_LONGEST_LABEL = 63
# LetterDigits of RFC 5892 section 2.1, but for capitals, which are not stable under case folding (section 2.2)
_CATEGORIES = frozenset({"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"})
# section 2.6: allowed although the rules would not have it
_EXCEPTIONS = frozenset("\u00df\u03c2\u06fd\u06fe\u0f0b\u3007")
# sections 2.3, 2.4, 2.6 and 2.9, as far as the categories above would let them in: marks that are ignored or are for symbols, letters that only
# lengthen or repeat, the parts of Hangul syllables
_NEVER = (
    (0x034F, 0x034F), (0x0640, 0x0640), (0x07FA, 0x07FA), (0x1100, 0x11FF), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x20D0, 0x20FF),
    (0x302E, 0x302F), (0x3031, 0x3035), (0x303B, 0x303B), (0x3164, 0x3164), (0xA960, 0xA97C), (0xD7B0, 0xD7FB), (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0), (0x1D100, 0x1D24F), (0xE0000, 0xE0FFF),
)  # fmt: skip
# appendix A.8 and A.9: two alphabets of digits that look alike are never mixed
_ARABIC_DIGITS, _EASTERN_DIGITS = frozenset(map(chr, range(0x660, 0x66A))), frozenset(map(chr, range(0x6F0, 0x6FA)))


def a_label_problem(label: str) -> str | None:
    """What is wrong with a label in lower case that begins with ``xn--``, or None."""
    try:
        text = label.removeprefix(PREFIX).encode("ascii").decode("punycode")
    except (UnicodeError, OverflowError, ValueError):
        return "is not an encoded international label (RFC 3492)"
    if text.isascii():
        return "encodes nothing international"
    if _encoded(text) != label:
        return "is not the one encoding of its label (RFC 5891)"
    return _u_label_problem(text)


def to_ascii(name: str) -> str:
    """The ASCII form of a DNS name or pattern: its labels outside ASCII in lower case and normal form, encoded; the others as they are.

    Raises:
        ValueError: a label has no such form; says why.
    """
    made: list[str] = []
    for label in name.split("."):
        if label.isascii():
            made.append(label)
            continue
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).lower())
        if text.isascii():
            made.append(text)
            continue
        problem = _u_label_problem(text)
        encoded = _encoded(text)
        if problem is None and len(encoded) > _LONGEST_LABEL:
            problem = f"has {len(encoded)} characters in ASCII, {_LONGEST_LABEL} are possible"
        if problem:
            raise ValueError(f"an international label {problem}")
        made.append(encoded)
    return ".".join(made)


def _encoded(text: str) -> str:
    return PREFIX + text.encode("punycode").decode("ascii")


def _u_label_problem(text: str) -> str | None:
    if unicodedata.normalize("NFC", text) != text:
        return "is not in normal form (NFC)"
    if unicodedata.category(text[0]).startswith("M"):
        return "begins with a combining mark"
    if text.startswith("-") or text.endswith("-") or text[2:4] == "--":
        return "has a hyphen where none may be"
    for character in text:
        if character == "-" or character in _EXCEPTIONS or (character.isascii() and character.isalnum()):
            continue
        if unicodedata.category(character) not in _CATEGORIES or _is_never(character) or not _is_stable(character):
            return f"holds U+{ord(character):04X}, which is not allowed in names (RFC 5892)"
    if not _ARABIC_DIGITS.isdisjoint(text) and not _EASTERN_DIGITS.isdisjoint(text):
        return "mixes two alphabets of Arabic digits"
    return None if text == text.lower() else "is not in lower case"


def _is_never(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _NEVER)


def _is_stable(character: str) -> bool:
    """RFC 5892 section 2.2: unchanged by folding and compatibility normalisation."""
    folded = unicodedata.normalize("NFKC", character).casefold()
    return unicodedata.normalize("NFKC", folded) == character
