"""Words of dosages: units of mass, count, volume; routes; pharmaceutical forms. English, Latin and Chinese."""

from __future__ import annotations

import re
from functools import lru_cache

from cds_service.record import Route
from cds_service.terminology import normalised

_LONGEST = 500

# Micrograms. The micro sign (U+00B5) and the Greek letter are one after NFKC.
MASSES = {
    **dict.fromkeys(("ng", "纳克"), 0.001),
    **dict.fromkeys(("ug", "μg", "mcg", "microgram", "micrograms", "微克"), 1.0),
    **dict.fromkeys(("mg", "milligram", "milligrams", "毫克"), 1e3),
    **dict.fromkeys(("g", "gram", "grams", "克"), 1e6),
}
# Millilitres.
VOLUMES = {
    **dict.fromkeys(("ml", "milliliter", "milliliters", "millilitre", "millilitres", "毫升"), 1.0),
    **dict.fromkeys(("l", "升"), 1e3),
}
# International units: another quantity for every substance, never converted.
UNITS = frozenset(
    ("iu", "[iu]", "i.u.", "u", "unit", "units", "international unit", "international units", "国际单位", "单位")
)
DROPS = frozenset(("drop", "drops", "gtt", "[drp]", "{drop}", "滴"))
_SINGULAR = (
    "tablet",
    "tab",
    "capsule",
    "cap",
    "softgel",
    "pill",
    "lozenge",
    "caplet",
    "ampoule",
    "ampule",
    "amp",
    "vial",
)
COUNTED = frozenset(
    (
        *_SINGULAR,
        *(f"{word}s" for word in _SINGULAR),
        *("tbl", "{tbl}", "{tablet}", "{tab}", "{capsule}", "{cap}", "{ampoule}", "{vial}", "{spray}"),
        *("chewable", "gummy", "gummies", "spray", "sprays", "sachet", "sachets"),
        *("片", "粒", "颗", "丸", "胶囊", "支", "瓶", "袋", "喷"),
    )
)


def alternatives(*patterns: str) -> re.Pattern[str]:
    """One pattern that matches any of these."""
    return re.compile("|".join(patterns))


_ROUTES: tuple[tuple[re.Pattern[str], Route], ...] = (
    (
        alternatives(
            r"\bsublingual(?:ly)?\b",
            r"\bsl\b",
            r"\bs\.l\.?",
            "under the tongue",
            r"\bbuccal(?:ly)?\b",
            "舌下|含服|含化",
        ),
        "sublingual",
    ),
    (alternatives(r"\b(?:intra)?nasal(?:ly)?\b", "鼻"), "nasal"),
    (
        alternatives(
            r"\bintra-?muscular(?:ly)?\b", r"\bim\b", r"\bi\.m\.?", r"\binto (?:the |a )?muscle\b", "肌注|肌肉|肌内"
        ),
        "im",
    ),
    (
        alternatives(
            r"\bsub-?cutaneous(?:ly)?\b", r"\bsub(?:cut|q)\b", r"\bs[cq]\b", r"\bs\.c\.?", r"\bunder the skin\b", "皮下"
        ),
        "sc",
    ),
    (
        alternatives(
            r"\bintravenous(?:ly)?\b", r"\biv(?:pb)?\b", r"\bi\.v\.?", r"\binto (?:the |a )?vein\b", "静脉|静滴|静注"
        ),
        "iv",
    ),
    (
        alternatives(
            r"\btopical(?:ly)?\b",
            r"\b(?:cutaneous|cream|ointment|ophthalmic|eye drops?)\b",
            r"\bto (?:the )?skin\b",
            "外用|涂抹|滴眼|乳膏|软膏",
        ),
        "topical",
    ),
    (
        alternatives(r"\boral(?:ly)?\b", r"\bpo\b", r"\bp\.o\.?", r"\bby mouth\b", r"\bper os\b", "口服|吞服|内服"),
        "oral",
    ),
)
# Forms, where neither route nor text says how a product is given.
_FORMS: tuple[tuple[re.Pattern[str], Route], ...] = (
    (
        alternatives(
            r"\binject\w{0,5}\b", r"\bamp(?:oul|ul)es?\b", r"\bvials?\b", r"\bprefilled syringe\b", "注射|针剂|粉针"
        ),
        "parenteral",
    ),
    (
        alternatives(
            r"\b(?:tablet|capsule|softgel|caplet|pill|chewable)s?\b",
            r"\bgumm(?:y|ies)\b",
            r"\bsyrup\b",
            "片|胶囊|颗粒|口服液|糖浆|丸",
        ),
        "oral",
    ),
)


def measured(unit: str) -> tuple[str, float] | None:
    """The kind of a unit word ("ug", "iu", "each", "ml", "drop") and its size in that kind; None if it is none.

    >>> measured("毫克")
    ('ug', 1000.0)
    """
    word = normalised(unit).replace("(s)", "")
    if word in MASSES:
        return "ug", MASSES[word]
    if word in VOLUMES:
        return "ml", VOLUMES[word]
    if word in UNITS:
        return "iu", 1.0
    if word in DROPS:
        return "drop", 1.0
    return ("each", 1.0) if word in COUNTED else None


@lru_cache(maxsize=4096)
def route_in_text(text: str) -> Route | None:
    """The one route a text names; None if it names none or several.

    >>> route_in_text("维生素B12注射液 肌注")
    'im'
    """
    written = normalised(text[:_LONGEST])
    found = [route for pattern, route in _ROUTES if pattern.search(written)]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=4096)
def route_of_form(text: str) -> Route | None:
    """The route that a pharmaceutical form implies: an injection is parenteral, a capsule oral."""
    written = normalised(text[:_LONGEST])
    found = [route for pattern, route in _FORMS if pattern.search(written)]
    return found[0] if len(found) == 1 else None
