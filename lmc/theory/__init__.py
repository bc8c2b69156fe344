"""What the program computes, in words: the theory page, the glossary, and the answers of ``lmc explain``.

"THEORY 3" in the code means section 3 of ``theory.md`` in this room. The room knows names and texts only:
builders (matchers, models, ...) are handed in by the caller as ``Part``.
"""

from lmc.theory.explanation import Explanation, Meaning
from lmc.theory.parts import Part, parts_of
from lmc.theory.terms import contents, explain, names

__all__ = ["Explanation", "Meaning", "Part", "contents", "explain", "names", "parts_of"]
