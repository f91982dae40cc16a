"""Finds the reply code and the enhanced code in a free text: a raw reply, or the sentence of a bounce that quotes one.

A log's replies have their codes in fixed places (`logscan.reply`); people and bounce messages quote them anywhere:
`smtp; 550 5.1.1 ...`, `Remote host said: 550-...`, `SMTP error 550`, `... (#5.1.1)`.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# Where a number may begin and end: not within a word, an address, a longer number.
_BEGIN = r"""(?:^|[\s:;,=()\[\]<>{}"'`“”‘’«»#|])"""
_END = r"""(?:[^\w.]|\.(?:\D|$)|$)"""
_ENHANCED = r"(?P<found>[245]\.\d{1,3}\.\d{1,3})"
_WRAP = r"""[\s"'`“‘(\[<{]*"""

# In the order of trust; a greeting (220) comes last, since a refusal may follow it. Each is asked of the texts that
# the ones before found nothing in.
_CODE = (
    # At the start; there even one that no standard knows, or one that runs into its words.
    rf"^(?i:smtp|lmtp|esmtp)?{_WRAP}[;:]?{_WRAP}(?P<found>2[013-9]\d|22[1-9]|[345]\d\d)(?:[\s:;,)\]'\"<#’”-]|\.(?:\D|$)|$)",
    rf"^{_WRAP}(?P<found>[45]\d\d)[^\d.%/]",
    rf"^{_WRAP}(?P<found>[016-9]\d\d)(?:[ -][^\d%]|$)",
    # Beside an enhanced code.
    rf"{_BEGIN}(?P<found>[2-5]\d\d)[\s:;,(\[#-]{{1,3}}[245]\.\d{{1,3}}\.\d{{1,3}}{_END}",
)
_CODE_ANYWHERE = (
    # After the words that quote a reply, or say what the number is.
    r"(?i:said|say(?:s|ing)|replied|answered|respon(?:ded|ded with|se|se was|d(?:s|ing) with)|repl(?:y|ies)|returned|"
    r"reason|error|err|code|status|was|with|diagnostic|result|smtp|antwort\w*|meldung|fehler|erreur|réponse|respuesta|"
    r"resposta|risposta|errore?|erro|ошибка|код|ответ|エラー|错误)"
    rf"[^\w.]{{1,5}}(?P<found>[2-5]\d\d){_END}",
    # A failure before a success.
    rf"{_BEGIN}(?P<found>[45][0-7]\d){_END}",
    rf"{_BEGIN}(?P<found>2[0-5]\d){_END}",
)
_ENHANCED_CODE = (
    rf"(?:^|[^\w.])[2-5]\d\d[\s:;,-]{{1,3}}['\"(\[]?#?{_ENHANCED}{_END}",
    rf"(?:[(\[]#?|#|(?i:dsn|status|code)[=:]\s?){_ENHANCED}{_END}",
)
_ENHANCED_ANYWHERE = (rf"{_BEGIN}(?P<found>[245]\.[0-7]\.\d{{1,3}}){_END}",)
# Numbers that are something else.
_NO_CODE = (
    r"(?i)(?:\w,?\s|[(=<>~])\d+(?:\.\d+)?\s?(?:bytes?|octets?|[kmg]i?b|s|secs?|seconds?|min|minutes?|hours?|days?|messages?|mails?|"
    r"e-?mails?|recipients?|connections?|times|chars?|characters?|percent|points?)\b"
    r"|\b(?:https?|x-unix|rfc\s?\d+,?|sections?|port|line|pid|rule|ticket|size|version|exim|postfix|sendmail|v)\s?[=:#;]?\s?\d+(?:\.\d+)*"
)


# A reply as a server gives it, whose codes need no search: most texts, and nearly all successes.
_PLAIN = r"^(?P<code>2[013-9]\d|22[1-9]|[345]\d\d)(?:[ -](?:(?P<enhanced>[245]\.\d{1,3}\.\d{1,3})(?: |$))?|$)"


def codes(texts: pa.StringArray) -> tuple[pa.Int16Array, pa.StringArray]:
    """The reply code and the enhanced code that each text states; null where none.

    >>> code, enhanced = codes(pa.array(["250 2.0.0 Ok", "smtp; 550 no (#5.1.1)", "no"]))
    >>> code.to_pylist(), enhanced.to_pylist()
    ([250, 550, None], ['2.0.0', '5.1.1', None])
    """
    plain = pc.extract_regex(texts, _PLAIN)
    code, enhanced = (pc.struct_field(plain, name) for name in ("code", "enhanced"))
    # Successes without an enhanced code have none; the others are searched.
    success = pc.equal(pc.utf8_slice_codeunits(code, 0, 1), "2")
    rest = pc.fill_null(pc.and_(pc.equal(enhanced, ""), pc.invert(success)), True)
    # A log's way to write the end of a line would hide the code behind it.
    left = pc.replace_substring(texts.filter(rest), "\\n", " ")
    code = pc.replace_with_mask(code, rest, reply_codes(left).cast(pa.string()))
    enhanced = pc.replace_with_mask(enhanced, rest, enhanced_codes(left))
    return code.cast(pa.int16()), pc.if_else(pc.equal(enhanced, ""), pa.scalar(None, pa.string()), enhanced)


def reply_codes(texts: pa.StringArray) -> pa.Int16Array:
    """The reply code that each text states, null where none.

    >>> texts = ["550-5.1.1 no", "SMTP error from x after RCPT TO:<a@b.example>: 554 no", "over 512 mails"]
    >>> reply_codes(pa.array(texts)).to_pylist()
    [550, 554, None]
    """
    return _first(texts, _CODE, _CODE_ANYWHERE).cast(pa.int16())


def enhanced_codes(texts: pa.StringArray) -> pa.StringArray:
    """The enhanced code that each text states: beside the reply code, else in parentheses, else anywhere.

    >>> enhanced_codes(pa.array(["550 5.1.1 no", "550 no (#5.7.1)", "550 from 5.1.1.4, Exim 4.9.1"])).to_pylist()
    ['5.1.1', '5.7.1', None]
    """
    return _first(texts, _ENHANCED_CODE, _ENHANCED_ANYWHERE)


def _first(texts: pa.StringArray, patterns: tuple[str, ...], anywhere: tuple[str, ...]) -> pa.StringArray:
    """What the first pattern that finds anything finds; those for anywhere see no numbers that are something else."""
    found = pa.nulls(len(texts), pa.string())
    for pattern in (*patterns, *anywhere):
        missing = found.is_null()
        left = texts.filter(missing)
        if not len(left):
            break
        if pattern in anywhere:
            left = pc.replace_substring_regex(left, _NO_CODE, "")
        found = pc.replace_with_mask(found, missing, pc.struct_field(pc.extract_regex(left, pattern), "found"))
    return found
