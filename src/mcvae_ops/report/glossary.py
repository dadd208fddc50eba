"""The words of the field that the report explains, from ``docs/architecture.md``."""

import re
from collections.abc import Mapping

from mcvae_ops.screen import reworded

_SECTION = re.compile(r"^### Words of the field\n(.*?)^### ", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (?!word |-)([^|]+) \| ([^|]+) \|", re.MULTILINE)


def glossary(page: str, words: Mapping[str, str]) -> dict[str, str]:
    """Return the sentence that explains each word.

    Parameters
    ----------
    page
        Text of ``docs/architecture.md``.
    words
        Section ``screen.words`` of the configuration.

    Returns
    -------
    Sentence by word, in the words of the screen.
    """
    rows = _ROW.findall(_SECTION.search(page)[1])
    return {
        reworded(word, words): reworded(sentence, words)
        for together, sentence in rows
        for word in together.split(", ")
    }
