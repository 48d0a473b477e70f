"""Text → LaTeX, in ASCII: pdflatex stops at most characters beyond Latin letters."""

from __future__ import annotations

import re
import unicodedata


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_TEXT = _pairs(
    r"""
& \&  % \%  $ \$  # \#  _ \_  { \{  } \}  \ \textbackslash{}  ~ \textasciitilde{}  ^ \textasciicircum{}
| \textbar{}  < \textless{}  > \textgreater{}  [ {[}  * {*}
— ---  – --  ‐ -  ‑ -  ‘ `  ’ '  “ ``  ” ''  … \dots{}  ß \ss{}  æ \ae{}  Æ \AE{}  œ \oe{}  Œ \OE{}  ø \o{}
Ø \O{}  ł \l{}  Ł \L{}  ı \i{}  § \S{}  ¶ \P{}  © \copyright{}  ⁄ /
"""
)
"""At the start of a row ``[`` and ``*`` would be arguments of the line break before it."""

_MATHS = _pairs(
    r"""
↑ \uparrow  ↓ \downarrow  → \rightarrow  ← \leftarrow  ↔ \leftrightarrow  ⇒ \Rightarrow  × \times  ÷ \div
± \pm  · \cdot  − -  ∓ \mp  † \dagger  ‡ \ddagger  ∞ \infty  √ \surd  ∑ \sum  ∏ \prod  ∫ \int  ≤ \leq
≥ \geq  ≠ \neq  ≈ \approx  ≡ \equiv  ∼ \sim  ∝ \propto  ≪ \ll  ≫ \gg  ∈ \in  ∉ \notin  ∪ \cup  ∩ \cap
⊂ \subset  ∀ \forall  ∃ \exists  ∅ \emptyset  ∇ \nabla  ∂ \partial  ‖ \Vert  ∘ \circ  ° ^{\circ}  ⊥ \perp
∥ \parallel  ⟨ \langle  ⟩ \rangle  ℓ \ell  • \bullet  ∗ \ast  ⊙ \odot  ⊕ \oplus  ⊗ \otimes  ¬ \neg  μ \mu
ε \varepsilon  ϵ \epsilon  φ \varphi  ϕ \phi  ϑ \vartheta  ς \varsigma  ϱ \varrho  ο o  ⌊ \lfloor
⌋ \rfloor  ⌈ \lceil  ⌉ \rceil  ′ '
"""
)

_GREEK_CAPITALS = frozenset(
    ["Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"]
)

_ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327\u0331",
        "`'^~=u.\"rHvdcb",
        strict=True,
    )
)


_LIGATURES = re.compile(r"(?<=-)(?=-)|(?<=')(?=')|(?<=[`!?])(?=`)|(?<=,)(?=,)")


def escape_latex(text: str) -> str:
    """Return LaTeX that shows `text` on one line; a character that LaTeX does not know is named by its number."""
    shown = unicodedata.normalize("NFC", " ".join(text.split()))
    # what LaTeX would make one character of: two hyphens of an option, quotes, ?` and !`
    kept = _LIGATURES.split(shown)
    return "{}".join("".join(map(_escaped, part)) for part in kept)


def _escaped(char: str) -> str:
    if char in _TEXT:
        return _TEXT[char]
    if char.isascii():
        return char if char.isprintable() else ""
    if unicodedata.category(char) == "Cf":  # without width
        return ""
    if char in _MATHS:
        return f"${_MATHS[char]}$"
    return _greek(char) or _composed(char) or f"{{[}}U+{ord(char):04X}]"


def _greek(char: str) -> str:
    words = unicodedata.name(char, "").split()
    if len(words) != 4 or words[0] != "GREEK" or words[2] != "LETTER":
        return ""
    name = {"LAMDA": "LAMBDA"}.get(words[3], words[3]).capitalize()
    if words[1] == "SMALL":
        return f"$\\{name.lower()}$"
    if name in _GREEK_CAPITALS:
        return f"$\\{name}$"
    # the others look like Latin letters
    return {"Eta": "H", "Rho": "P", "Chi": "X"}.get(name, name[0])


def _composed(char: str) -> str:
    """Return a letter with its accent, a raised or lowered character, or what the character is a variant of."""
    kind, _, codes = unicodedata.decomposition(char).rpartition("> ")
    parts = [chr(int(code, 16)) for code in codes.split()]
    if not parts:
        return ""
    if not kind:
        base = _escaped(parts[0])
        return f"\\{_ACCENTS[parts[1]]}{{{base}}}" if len(parts) == 2 and parts[1] in _ACCENTS else ""
    inner = "".join(map(_escaped, parts))
    if kind in ("<super", "<sub"):
        return f"$^{{{_bare(inner)}}}$" if kind == "<super" else f"$_{{{_bare(inner)}}}$"
    return inner


def _bare(text: str) -> str:
    return text.replace("$", "")
