"""The value sets of the knowledge folder: which codes and names belong to which concept, and which never do."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cds_service.coding import SYSTEMS, Coding
from cds_service.quantity import factor
from cds_service.terminology import ConceptCodes, Kind, Terminology
from tests.support.paths import ROOT

KNOWLEDGE = ROOT / "knowledge"
FOLDER = KNOWLEDGE / "valuesets"

OBSERVATIONS = [
    "active-vitamin-b12", "urine-methylmalonic-acid", "factor-v", "platelets",
    "serum-vitamin-b12", "methylmalonic-acid", "homocysteine", "red-cell-folate", "serum-folate", "egfr", "mcv",
    "haemoglobin", "potassium", "inr", "prothrombin-time", "creatinine", "complete-blood-count", "liver-panel",
    "reticulocytes",
]  # fmt: skip
CONDITIONS = [
    "pernicious-anaemia", "vitamin-b12-deficiency", "blood-signs", "neurological-signs",
    "cognitive-mood-or-mouth-signs", "crohn-disease", "coeliac-disease", "short-bowel", "ileal-resection",
    "gastric-bypass", "gastrectomy", "total-gastrectomy", "atrophic-gastritis", "strict-vegan-diet",
    "chronic-gastritis", "nitrous-oxide-misuse", "leber-optic-neuropathy", "pregnancy", "preconception-care",
    "chronic-kidney-disease", "chronic-kidney-disease-3-to-5", "dialysis", "cystic-fibrosis",
    "chronic-liver-disease", "cholestasis", "malnutrition", "parenteral-nutrition", "osteoporosis",
    "osteopenia", "bleeding-signs", "active-bleeding", "urgent-procedure", "over-anticoagulation",
    "palliative-care", "alcohol-use-disorder", "haemolysis", "clotting-disorder",
    "long-term-anticoagulant-use", "prosthetic-heart-valve", "mechanical-heart-valve",
    "clotting-factor-deficiency", "thrombocytopenia", "pancytopenia", "subacute-combined-degeneration",
    "hereditary-neuropathy", "inflammatory-neuropathy", "diabetic-neuropathy", "alcohol-neuropathy",
    "mononeuropathy", "stroke-sequelae", "pancreatic-insufficiency", "anorexia-nervosa", "nil-by-mouth",
    "hypothyroidism", "iron-deficiency", "chronic-kidney-disease-4-to-5", "chemotherapy", "multiple-myeloma",
    "red-cell-transfusion", "acute-liver-injury", "cyanide-poisoning-or-vasoplegia", "tobacco-amblyopia",
    "leber-in-family", "hypersensitivity", "anaphylaxis",
]  # fmt: skip
MEDICATIONS = [
    "vitamin-k-antagonist", "direct-oral-anticoagulant", "heparin-or-parenteral-anticoagulant",
    "phytomenadione", "menadione-derivative", "vitamin-k-unspecified", "menatetrenone", "menaquinone-7",
    "vitamin-d3-k2", "vitamin-k2-unspecified", "multivitamin-with-vitamin-k",
    "parenteral-multivitamin-with-vitamin-k", "cyanocobalamin", "hydroxocobalamin", "mecobalamin",
    "adenosylcobalamin", "vitamin-b12-unspecified", "b12-combination", "folic-acid", "metformin",
    "proton-pump-inhibitor", "h2-receptor-antagonist", "systemic-glucocorticoid", "broad-spectrum-antibiotic",
    "methotrexate", "macrocytosis-drug", "pemetrexed", "enoxaparin", "fondaparinux",
    "dalteparin", "tinzaparin", "unfractionated-heparin", "side-chain-antibiotic", "bile-acid-sequestrant", "orlistat",
    "warfarin", "phenprocoumon", "acenocoumarol", "apixaban", "rivaroxaban", "edoxaban", "dabigatran",
    "cobalt",
]  # fmt: skip
KINDS: dict[str, Kind] = dict.fromkeys(OBSERVATIONS, "observation")
KINDS |= dict.fromkeys(CONDITIONS, "condition")
KINDS |= dict.fromkeys(MEDICATIONS, "medication")

# Conditions that last, so that an entry marked inactive counts too.
LIFELONG = {
    "pernicious-anaemia", "crohn-disease", "coeliac-disease", "short-bowel", "ileal-resection",
    "gastric-bypass", "gastrectomy", "total-gastrectomy", "atrophic-gastritis", "leber-optic-neuropathy",
    "cystic-fibrosis", "chronic-liver-disease", "clotting-factor-deficiency", "hereditary-neuropathy",
}  # fmt: skip


def definitions() -> dict[str, dict[str, Any]]:
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def rows(value_set: str) -> list[dict[str, str]]:
    path = FOLDER / f"{value_set}.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


DEFINED = definitions()
ROWS = {value_set: rows(value_set) for value_set in DEFINED}


def every_row() -> Iterator[tuple[str, dict[str, str]]]:
    for value_set, its_rows in ROWS.items():
        for row in its_rows:
            yield value_set, row


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    def keys(value_set: str, match: str) -> frozenset[tuple[str, str]]:
        return frozenset((SYSTEMS[row["system"]], row["code"]) for row in ROWS[value_set] if row["match"] == match)

    return Terminology(
        ConceptCodes(
            id=value_set,
            kind=data["kind"],
            codes=keys(value_set, "exact"),
            prefixes=keys(value_set, "prefix"),
            excluded=keys(value_set, "exclude"),
            texts=tuple(data["text"]),
            not_texts=tuple(data.get("not_text", ())),
            lifelong=data.get("lifelong", False),
            part_of=data.get("part_of"),
        )
        for value_set, data in DEFINED.items()
    )


# What the tables hold ---------------------------------------------------------------------------------------


def test_every_concept_has_a_value_set_of_its_kind_and_there_are_no_others() -> None:
    assert {value_set: data["kind"] for value_set, data in DEFINED.items()} == KINDS


def test_every_value_set_is_named_and_explained_in_both_languages() -> None:
    for value_set, data in DEFINED.items():
        assert data["id"] == value_set
        for member in ("title", "includes"):
            assert re.search("[a-z]", data[member]["en"]), value_set
            assert re.search("[\u4e00-\u9fff]", data[member]["zh"]), value_set


def test_every_value_set_has_names_in_both_languages() -> None:
    for value_set, data in DEFINED.items():
        assert any(re.search("[A-Za-z]", text) for text in data["text"]), value_set
        assert any(re.search("[\u4e00-\u9fff]", text) for text in data["text"]), value_set


def test_just_the_lasting_conditions_are_lifelong() -> None:
    assert {value_set for value_set, data in DEFINED.items() if data.get("lifelong")} == LIFELONG


def test_every_preferred_code_is_an_exact_row_of_its_table() -> None:
    named = {value_set: data["preferred"] for value_set, data in DEFINED.items() if "preferred" in data}
    assert len(named) > 70
    for value_set, preferred in named.items():
        exact = {(row["system"], row["code"]) for row in ROWS[value_set] if row["match"] == "exact"}
        assert (preferred["system"], preferred["code"]) in exact, value_set


def test_tables_are_sorted_without_duplicates_and_complete() -> None:
    for value_set, its_rows in ROWS.items():
        keys = [(row["system"], row["code"], row["match"]) for row in its_rows]
        assert keys == sorted(set(keys)), value_set
        for row in its_rows:
            assert list(row) == ["system", "code", "match", "display", "type", "verified", "source"]
            assert row["system"] in SYSTEMS
            assert row["match"] in ("exact", "prefix", "exclude")
            assert row["verified"] in ("yes", "no")
            assert "" not in (row["display"], row["type"], row["source"]), (value_set, row)


def test_an_excluded_code_belongs_to_no_value_set_of_that_kind() -> None:
    # An exclusion settles the whole entry, so an overlap would silence the other value set.
    exact = {(KINDS[s], row["system"], row["code"]) for s, row in every_row() if row["match"] == "exact"}
    excluded = {(KINDS[s], row["system"], row["code"]) for s, row in every_row() if row["match"] == "exclude"}
    assert len(excluded) > 30
    assert exact & excluded == set()


def test_every_source_of_a_row_is_explained_and_every_explained_source_is_used() -> None:
    used = {key for _, row in every_row() for key in re.sub(r"\s*\[.*?\]", "", row["source"]).split(" ; ")}
    with (FOLDER / "sources.csv").open(encoding="utf-8", newline="") as lines:
        assert {row["key"] for row in csv.DictReader(lines)} == used


def test_every_snomed_row_says_which_release_it_is_from() -> None:
    release = re.compile(r"\[(GPS|International Edition|(UK drug|UK clinical|US) extension|release not checked)\]$")
    unsaid = [row["code"] for _, row in every_row() if row["system"] == "snomed" and not release.search(row["source"])]
    assert unsaid == []


_D5_PRODUCT = [
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
]  # fmt: skip
_D5_TURN = [
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
]  # fmt: skip


def verhoeff_holds(code: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = int(_D5_PRODUCT[check][int(_D5_TURN[place % 8][int(digit)])])
    return check == 0


def mod_10_holds(code: str) -> bool:
    body, _, check = code.partition("-")
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body))]
    return (-sum(n // 10 + n % 10 for n in doubled)) % 10 == int(check)


def test_the_check_digit_functions_notice_a_wrong_digit() -> None:
    assert verhoeff_holds("84027009")
    assert not verhoeff_holds("84027008")
    assert not verhoeff_holds("84072009")
    assert mod_10_holds("2132-9")
    assert not mod_10_holds("2132-8")
    assert not mod_10_holds("2123-9")


def test_every_snomed_code_has_its_check_digit() -> None:
    wrong = [row["code"] for _, row in every_row() if row["system"] == "snomed" and not verhoeff_holds(row["code"])]
    assert wrong == []


def test_every_loinc_code_has_its_check_digit() -> None:
    wrong = [row["code"] for _, row in every_row() if row["system"] == "loinc" and not mod_10_holds(row["code"])]
    assert wrong == []


# What they recognise: codes ---------------------------------------------------------------------------------

_CKD_4 = "chronic-kidney-disease chronic-kidney-disease-3-to-5 chronic-kidney-disease-4-to-5"
CODES: list[tuple[Kind, str, str, str]] = [
    # kind, system, code, expected value sets
    ("observation", "loinc", "2132-9", "serum-vitamin-b12"),
    ("observation", "loinc", "14685-2", "serum-vitamin-b12"),
    ("observation", "loinc", "72160-5", "active-vitamin-b12"),
    ("observation", "loinc", "2171-7", ""),  # binding capacity
    ("observation", "ctv3", "XE2pf", "serum-vitamin-b12"),
    ("observation", "read2", "42T..", "serum-vitamin-b12"),
    ("observation", "loinc", "13964-2", "methylmalonic-acid"),
    ("observation", "loinc", "25116-5", "urine-methylmalonic-acid"),
    ("observation", "npu", "NPU02780", "methylmalonic-acid"),
    ("observation", "loinc", "13965-9", "homocysteine"),
    ("observation", "loinc", "2430-7", ""),  # homocystine
    ("observation", "loinc", "2283-0", "red-cell-folate"),
    ("observation", "loinc", "2282-2", ""),  # whole blood folate
    ("observation", "loinc", "2284-8", "serum-folate"),
    ("observation", "loinc", "33914-3", "egfr"),
    ("observation", "loinc", "98979-8", "egfr"),
    ("observation", "loinc", "6301-6", "inr"),
    ("observation", "loinc", "46418-0", "inr"),
    ("observation", "loinc", "5894-1", ""),  # per cent of normal
    ("observation", "loinc", "34528-0", ""),  # a panel: its members are results
    ("observation", "loinc", "5902-2", "prothrombin-time"),
    ("observation", "loinc", "2823-3", "potassium"),
    ("observation", "loinc", "718-7", "haemoglobin"),
    ("observation", "loinc", "787-2", "mcv"),
    ("observation", "loinc", "2160-0", "creatinine"),
    ("observation", "snomed", "26604007", "complete-blood-count"),
    ("medication", "rxnorm", "11289", "vitamin-k-antagonist warfarin"),
    ("medication", "rxnorm", "855336", "vitamin-k-antagonist warfarin"),  # a brand, at product level
    ("medication", "ndc", "00056-0168-99", "vitamin-k-antagonist warfarin"),  # another package of a listed product
    ("medication", "nhsa", "XB01AAH053A001010100000", "vitamin-k-antagonist"),
    ("medication", "atc", "B01AA07", "acenocoumarol vitamin-k-antagonist"),
    ("medication", "snomed", "319735007", "vitamin-k-antagonist warfarin"),
    ("medication", "snomed", "32751311000001101", "vitamin-k-antagonist warfarin"),  # UK generic capsules
    ("medication", "rxnorm", "1114198", "direct-oral-anticoagulant rivaroxaban"),
    ("medication", "atc", "B01AF02", "apixaban direct-oral-anticoagulant"),
    ("medication", "atc", "B01AE07", "dabigatran direct-oral-anticoagulant"),
    ("medication", "atc", "B01AB05", "enoxaparin heparin-or-parenteral-anticoagulant"),
    ("medication", "rxnorm", "854235", "enoxaparin heparin-or-parenteral-anticoagulant"),
    ("medication", "rxnorm", "861364", "fondaparinux heparin-or-parenteral-anticoagulant"),  # a brand
    ("medication", "rxnorm", "978735", "dalteparin heparin-or-parenteral-anticoagulant"),  # dalteparin
    ("medication", "atc", "B01AB01", "heparin-or-parenteral-anticoagulant unfractionated-heparin"),  # unfractionated
    ("medication", "atc", "B01AE03", "heparin-or-parenteral-anticoagulant"),
    ("medication", "rxnorm", "848339", ""),  # heparin 10 units/mL keeps a line open
    ("medication", "rxnorm", "198102", "phytomenadione"),
    ("medication", "ndc", "00409915701", "phytomenadione"),
    ("medication", "nhsa", "XB02BXF123A001010100000", ""),  # the class holds other haemostatics
    ("medication", "snomed", "708600008", "menadione-derivative"),
    ("medication", "rxnorm", "11258", "vitamin-k-unspecified"),
    ("medication", "snomed", "712684001", "menatetrenone"),
    ("medication", "atc", "M05BX08", "menatetrenone"),
    ("medication", "snomed", "22606007", "vitamin-k2-unspecified"),
    ("medication", "ndc", "54643-5649-01", "parenteral-multivitamin-with-vitamin-k"),
    ("medication", "nhsa", "XA11JAZ022B002010101234", "parenteral-multivitamin-with-vitamin-k"),
    ("medication", "rxnorm", "309594", "cyanocobalamin"),
    ("medication", "snomed", "2858311000001109", "hydroxocobalamin"),
    ("medication", "nhsa", "XB03BAJ038B002010101234", "mecobalamin"),
    ("medication", "snomed", "1231353000", "b12-combination"),  # gabapentin and mecobalamin
    ("medication", "atc", "A11EA", "b12-combination"),
    ("medication", "atc", "B03BA", "vitamin-b12-unspecified"),
    ("medication", "rxnorm", "310410", "folic-acid"),
    ("medication", "rxnorm", "197863", ""),  # leucovorin
    ("medication", "atc", "V03AF03", ""),  # calcium folinate
    ("medication", "rxnorm", "861007", "metformin"),
    ("medication", "atc", "A10BD07", "metformin"),
    ("medication", "atc", "A10BD19", ""),  # linagliptin and empagliflozin
    ("medication", "atc", "A02BC08", "proton-pump-inhibitor"),
    ("medication", "nhsa", "XA02BCA348X0", "proton-pump-inhibitor"),
    ("medication", "atc", "A02BA02", "h2-receptor-antagonist"),
    ("medication", "rxnorm", "312617", "systemic-glucocorticoid"),
    ("medication", "rxnorm", "688243", ""),  # dexamethasone eye ointment
    ("medication", "rxnorm", "1665021", "broad-spectrum-antibiotic"),
    ("medication", "rxnorm", "404930", ""),  # ear drops
    ("medication", "rxnorm", "309114", ""),  # cefalexin is first generation
    ("medication", "atc", "J01EE01", ""),  # sulfamethoxazole and trimethoprim
    ("medication", "rxnorm", "6851", "methotrexate macrocytosis-drug"),
    ("condition", "snomed", "84027009", "pernicious-anaemia"),
    ("condition", "icd-10-cm", "D51.0", "pernicious-anaemia vitamin-b12-deficiency"),
    ("condition", "icd-10-cn", "D51.000", "pernicious-anaemia vitamin-b12-deficiency"),
    ("condition", "icd-10", "D51.9", "vitamin-b12-deficiency"),
    ("condition", "icd-10-cm", "E53.8", ""),  # other B vitamins too
    ("condition", "icd-10-cm", "D52.9", "blood-signs"),
    ("condition", "icd-10-cm", "D50.9", "iron-deficiency"),
    ("condition", "icd-10-cm", "D61.818", "blood-signs pancytopenia"),
    ("condition", "icd-10-cm", "R20.2", "neurological-signs"),
    ("condition", "icd-10-cm", "R29.6", ""),  # falls
    ("condition", "icd-10-cm", "F32.9", "cognitive-mood-or-mouth-signs"),
    ("condition", "icd-10-cm", "K50.90", "crohn-disease"),
    ("condition", "icd-10-cm", "Z98.84", "gastric-bypass"),
    ("condition", "icd-10", "Z90.3", "gastrectomy"),
    ("condition", "snomed", "26452005", "gastrectomy total-gastrectomy"),
    ("condition", "snomed", "49209004", "gastrectomy"),  # subtotal is not total
    ("condition", "snomed", "427980007", "gastric-bypass"),
    ("condition", "snomed", "315321001", ""),  # right hemicolectomy
    ("condition", "icd-10-cn", "K29.400", "atrophic-gastritis"),
    ("condition", "icd-10-cm", "K29.50", "chronic-gastritis"),
    ("condition", "snomed", "24930006", "strict-vegan-diet"),
    ("condition", "snomed", "300928006", ""),  # vegetarian, kind not stated
    ("condition", "icd-10-cm", "H47.22", "leber-optic-neuropathy"),
    ("condition", "icd-10-cm", "H47.239", ""),  # glaucomatous optic atrophy
    ("condition", "icd-10-cm", "O24.410", "pregnancy"),
    ("condition", "icd-10-cm", "O80", ""),  # a delivery is no pregnancy any more
    ("condition", "icd-10-cm", "Z31.69", "preconception-care"),
    ("condition", "icd-10-cm", "N18.2", "chronic-kidney-disease"),
    ("condition", "icd-10-cm", "N18.31", "chronic-kidney-disease chronic-kidney-disease-3-to-5"),
    ("condition", "icd-10", "Z99.2", f"{_CKD_4} dialysis"),
    ("condition", "icd-10-cm", "F10.21", ""),  # in remission
    ("condition", "icd-10-cm", "D68.32", "over-anticoagulation"),
    ("condition", "icd-10-cm", "T45.515A", "over-anticoagulation"),
    ("condition", "icd-10-cm", "T45.516A", ""),  # underdosing
    ("condition", "icd-10-cm", "K92.2", "active-bleeding bleeding-signs"),
    ("condition", "icd-10-cm", "D68.4", ""),  # vitamin K deficiency and liver disease
    ("condition", "icd-10-cm", "D57.3", ""),  # a trait does not haemolyse
    ("condition", "icd-10-cm", "Z51.5", "palliative-care"),
    ("condition", "snomed", "240154002", ""),  # osteoporosis in pregnancy
    ("condition", "icd-10-cm", "M81.0", "osteoporosis"),
]


@pytest.mark.parametrize(("kind", "system", "code", "expected"), CODES)
def test_a_code_is_read_as_its_concepts_and_no_others(
    terminology: Terminology, kind: Kind, system: str, code: str, expected: str
) -> None:
    assert terminology.concepts(kind, [Coding(SYSTEMS[system], code)]) == set(expected.split())


@pytest.mark.parametrize(
    ("system", "code", "text", "expected"),
    [
        ("rxnorm", "5224", "Lovenox 40 MG/0.4ML", "enoxaparin heparin-or-parenteral-anticoagulant"),
        ("atc", "B01AB", "Heparin 5000 units", "heparin-or-parenteral-anticoagulant"),
        ("atc", "B01AB05", "Arixtra", "enoxaparin heparin-or-parenteral-anticoagulant"),  # the code names a part
        ("rxnorm", "11289", "Lovenox", "vitamin-k-antagonist warfarin"),  # a code of something else
    ],
)
def test_a_text_tells_the_part_of_a_value_set_where_the_code_names_only_the_whole(
    terminology: Terminology, system: str, code: str, text: str, expected: str
) -> None:
    assert terminology.concepts("medication", [Coding(SYSTEMS[system], code)], text) == set(expected.split())


def test_a_code_of_another_system_is_not_matched(terminology: Terminology) -> None:
    assert terminology.concepts("medication", [Coding("http://hospital.example/drugs", "11289")]) == frozenset()


@pytest.mark.parametrize("value_set", [s for s, data in DEFINED.items() if "preferred" in data])
def test_the_preferred_code_of_a_value_set_is_read_as_it(terminology: Terminology, value_set: str) -> None:
    preferred = DEFINED[value_set]["preferred"]
    found = terminology.concepts(KINDS[value_set], [Coding(SYSTEMS[preferred["system"]], preferred["code"])])
    assert value_set in found


# What they recognise: names ---------------------------------------------------------------------------------

TEXTS: list[tuple[Kind, str, str]] = [
    # kind, text, expected value sets
    ("medication", "Warfarin 3 mg", "vitamin-k-antagonist warfarin"),
    ("medication", "华法林钠片 2.5mg", "vitamin-k-antagonist warfarin"),
    ("medication", "Vitamin K antagonist", "vitamin-k-antagonist"),
    ("medication", "Vitamin K for warfarin reversal", "vitamin-k-unspecified"),
    ("medication", "利伐沙班片", "direct-oral-anticoagulant rivaroxaban"),
    ("medication", "低分子肝素钠注射液", "heparin-or-parenteral-anticoagulant"),
    ("medication", "Heparin lock flush 10 units/mL", ""),
    ("medication", "肝素封管液", ""),
    ("medication", "phytonadione 5 mg tablet", "phytomenadione"),
    ("medication", "维生素K₁注射液", "phytomenadione"),
    ("medication", "维生素Ｋ１", "phytomenadione"),  # full width
    ("medication", "VitK1 10mg iv", "phytomenadione"),
    ("medication", "Vitamin K1 eye cream", ""),
    ("medication", "Vitamin K 10 mg", "vitamin-k-unspecified"),
    ("medication", "vitamin K-dependent clotting factors", ""),
    ("medication", "亚硫酸氢钠甲萘醌注射液", "menadione-derivative"),
    ("medication", "维生素K3", "menadione-derivative"),
    ("medication", "Vitamin K2 (MK-7) 180 µg", "menaquinone-7"),
    ("medication", "MK7", "menaquinone-7"),
    ("medication", "MK\u20117 100 ug", "menaquinone-7"),  # non-breaking hyphen
    ("medication", "维生素K2 (MK-4) 15mg", "menatetrenone"),
    ("medication", "四烯甲萘醌软胶囊", "menatetrenone"),
    ("medication", "固力康", "menatetrenone"),
    ("medication", "Vitamin K2 (MK-4 and MK-7)", "menatetrenone menaquinone-7"),
    ("medication", "MK-677", ""),
    ("medication", "MK-0431 100 mg", ""),
    ("medication", "MK-4482", ""),
    ("medication", "MK-70", ""),
    ("medication", "D3K2", "vitamin-d3-k2"),
    ("medication", "D3 + K2", "vitamin-d3-k2"),
    ("medication", "vitamin D3 and K2 drops", "vitamin-d3-k2"),
    ("medication", "Vitamin D3 5000 IU with K2 100 mcg", "vitamin-d3-k2"),
    ("medication", "维生素D3K2滴剂", "vitamin-d3-k2"),
    ("medication", "维生素K2+维生素D3", "vitamin-d3-k2"),
    ("medication", "Vitamin D3 1000 IU", ""),
    ("medication", "Vitamin K2", "vitamin-k2-unspecified"),
    ("medication", "维生素K2软胶囊", "vitamin-k2-unspecified"),
    ("medication", "甲喹酮片", ""),
    ("medication", "维生素K2（甲喹酮）", ""),
    ("medication", "methaqualone 45 mg", ""),
    ("medication", "K-Dur 20 mEq", ""),
    ("medication", "potassium chloride", ""),
    ("medication", "氯化钾缓释片", ""),
    ("medication", "Multivitamin", "b12-combination"),
    ("medication", "Multivitamin without vitamin K", "b12-combination"),
    ("medication", "多种维生素（不含维生素K）", "b12-combination"),
    ("medication", "Multivitamin with vitamin K 25 ug", "b12-combination multivitamin-with-vitamin-k"),
    ("medication", "Multivitamin (D3, K2)", "b12-combination multivitamin-with-vitamin-k"),
    ("medication", "含维生素K1的多种维生素", "b12-combination multivitamin-with-vitamin-k"),
    ("medication", "多维元素片（29）", "b12-combination multivitamin-with-vitamin-k"),
    ("medication", "脂溶性维生素注射液（Ⅱ）", "parenteral-multivitamin-with-vitamin-k"),
    ("medication", "维生素B12注射液", "cyanocobalamin"),
    ("medication", "Vitamin B12 (hydroxocobalamin) 1 mg im", "hydroxocobalamin"),
    ("medication", "甲钴胺片", "mecobalamin"),
    ("medication", "methylcobalamin 1000 mcg", "mecobalamin"),
    ("medication", "腺苷钴胺片", "adenosylcobalamin"),
    ("medication", "B12 1000 mcg", "vitamin-b12-unspecified"),
    ("medication", "Vitamin B complex", "b12-combination"),
    ("medication", "Vitamin B1 100 mg", ""),
    ("medication", "folic acid 400 ug and vitamin B12 6 ug", "b12-combination"),
    ("medication", "复合维生素B片", "b12-combination"),
    ("medication", "Folic acid 5 mg", "folic-acid"),
    ("medication", "叶酸片", "folic-acid"),
    ("medication", "ferrous fumarate / folic acid", "folic-acid"),
    ("medication", "folinic acid 15 mg", ""),
    ("medication", "亚叶酸钙注射液", ""),
    ("medication", "盐酸二甲双胍缓释片", "metformin"),
    ("medication", "艾司奥美拉唑镁肠溶片", "proton-pump-inhibitor"),
    ("medication", "雷尼替丁胶囊", "h2-receptor-antagonist"),
    ("medication", "醋酸泼尼松片", "systemic-glucocorticoid"),
    ("medication", "Hydrocortisone 10 mg tablet", "systemic-glucocorticoid"),
    ("medication", "Hydrocortisone 1% cream", ""),
    ("medication", "地塞米松滴眼液", ""),
    ("medication", "Budesonide inhaler", ""),
    ("medication", "piperacillin 4 g / tazobactam 0.5 g", "broad-spectrum-antibiotic"),
    ("medication", "左氧氟沙星滴眼液", ""),
    ("medication", "复方磺胺甲噁唑片", ""),
    ("medication", "羟基脲片", "macrocytosis-drug"),
    ("medication", "培美曲塞", "pemetrexed"),
    ("observation", "血清维生素B12", "serum-vitamin-b12"),
    ("observation", "Vit B12", "serum-vitamin-b12"),
    ("observation", "Vitamin B12 binding capacity, unsaturated", ""),
    ("observation", "Active vitamin B12 (holotranscobalamin)", "active-vitamin-b12"),
    ("observation", "Dietary intake of vitamin B12", ""),
    ("observation", "尿维生素B12", ""),
    ("observation", "甲基丙二酸", "methylmalonic-acid"),
    ("observation", "Methylmalonic acid, urine", "urine-methylmalonic-acid"),
    ("observation", "血同型半胱氨酸测定", "homocysteine"),
    ("observation", "RBC folate", "red-cell-folate"),
    ("observation", "Folate, serum", "serum-folate"),
    ("observation", "国际标准化比值(INR)", "inr"),
    ("observation", "INR target", ""),
    ("observation", "凝血酶原活动度", ""),
    ("observation", "凝血酶原时间", "prothrombin-time"),
    ("observation", "凝血酶原时间国际标准化比值", "inr"),
    ("observation", "aPTT", ""),
    ("observation", "EGFR gene mutation", ""),
    ("observation", "eGFR (CKD-EPI)", "egfr"),
    ("observation", "HbA1c", ""),
    ("observation", "糖化血红蛋白", ""),
    ("observation", "血红蛋白", "haemoglobin"),
    ("observation", "24 h urine potassium", ""),
    ("observation", "血清肌酐", "creatinine"),
    ("observation", "Albumin/creatinine ratio", ""),
    ("condition", "恶性贫血", "pernicious-anaemia"),
    ("condition", "Family history of pernicious anaemia", ""),
    ("condition", "Vitamin B12 deficiency", "vitamin-b12-deficiency"),
    ("condition", "Macrocytic anaemia", "blood-signs"),
    ("condition", "缺铁性贫血", "iron-deficiency"),
    ("condition", "脊髓亚急性联合变性", "neurological-signs subacute-combined-degeneration"),
    ("condition", "Ischaemic optic neuropathy", ""),
    ("condition", "Fall at home", ""),
    ("condition", "Rule out Crohn's disease", ""),
    ("condition", "否认乳糜泻", ""),
    ("condition", "Coeliac artery stenosis", ""),
    ("condition", "胃大部切除术后", "gastrectomy"),
    ("condition", "Subtotal gastrectomy 2015", "gastrectomy"),
    ("condition", "全胃切除术后", "gastrectomy total-gastrectomy"),
    ("condition", "Sleeve gastrectomy", "gastric-bypass"),
    ("condition", "No history of gastric bypass", ""),
    ("condition", "慢性萎缩性胃炎", "atrophic-gastritis"),
    ("condition", "Chronic non-atrophic gastritis", ""),
    ("condition", "Strict vegan", "strict-vegan-diet"),
    ("condition", "Lacto-ovo vegetarian", ""),
    ("condition", "笑气滥用", "nitrous-oxide-misuse"),
    ("condition", "Nitrous oxide use for dental anaesthesia", ""),
    ("condition", "LHON", "leber-optic-neuropathy"),
    ("condition", "Leber congenital amaurosis", ""),
    ("condition", "妊娠12周", "pregnancy"),
    ("condition", "Pregnancy test negative", ""),
    ("condition", "备孕", "preconception-care"),
    ("condition", "CKD stage 3a", "chronic-kidney-disease chronic-kidney-disease-3-to-5"),
    ("condition", "CKD 2", "chronic-kidney-disease"),
    ("condition", "慢性肾脏病4期", _CKD_4),
    ("condition", "Osteoporosis without current pathological fracture", "osteoporosis"),
    ("condition", "Screening for osteoporosis", ""),
    ("condition", "骨量减少", "osteopenia"),
    ("condition", "Easy bruising", "bleeding-signs"),
    ("condition", "Active bleeding", "active-bleeding"),
    ("condition", "No active bleeding", ""),
    ("condition", "Vitamin K prior to urgent surgery", "urgent-procedure"),
    ("condition", "急诊手术", "urgent-procedure"),
    ("condition", "Warfarin reversal, high risk of bleeding", "over-anticoagulation"),
    ("condition", "华法林过量", "over-anticoagulation"),
    ("condition", "Lupus anticoagulant", "clotting-disorder"),
    ("condition", "Specimen hemolysis", ""),
]


@pytest.mark.parametrize(("kind", "text", "expected"), TEXTS)
def test_a_name_is_read_as_its_concepts_and_no_others(
    terminology: Terminology, kind: Kind, text: str, expected: str
) -> None:
    assert terminology.concepts(kind, [], text) == set(expected.split())


@pytest.mark.parametrize("value_set", sorted(KINDS))
def test_the_first_name_of_a_value_set_is_read_as_it(terminology: Terminology, value_set: str) -> None:
    assert value_set in terminology.concepts(KINDS[value_set], [], DEFINED[value_set]["text"][0])


@pytest.mark.parametrize("word", ["family history of", "rule out", "screening for", "否认", "家族史："])
def test_a_denied_or_familial_condition_does_not_count(terminology: Terminology, word: str) -> None:
    for value_set in CONDITIONS:
        # Reasons for reversing an anticoagulant are no findings: nobody is screened for urgent surgery.
        if value_set not in ("urgent-procedure", "over-anticoagulation", "active-bleeding") or word != "screening for":
            text = f"{word} {DEFINED[value_set]['text'][0]}"
            # A relative's disease is what this one holds.
            assert terminology.concepts("condition", [], text) - {"leber-in-family"} == frozenset(), value_set


# Units ------------------------------------------------------------------------------------------------------


def unit_table() -> dict[tuple[str, str], str]:
    listed = yaml.safe_load((KNOWLEDGE / "units.yaml").read_text(encoding="utf-8"))
    table = {(concept, unit["spelling"]): unit["ucum"] for unit in listed for concept in unit.get("for", [""])}
    assert len(table) == sum(len(unit.get("for", [""])) for unit in listed), "a spelling is listed twice"
    return table


def test_every_unit_spelling_stands_for_a_readable_ucum_unit() -> None:
    for ucum in set(unit_table().values()):
        assert factor(ucum, f"({ucum})") == 1.0, ucum


@pytest.mark.parametrize(
    ("concept", "spelling", "ucum"),
    [
        ("", "pg/ml", "pg/mL"),
        ("", "PG/ML", "pg/mL"),
        ("", "pmol/l", "pmol/L"),
        ("", "µmol/L", "umol/L"),
        ("", "μmol/L", "umol/L"),
        ("", "mcg/L", "ug/L"),
        ("", "ng/l", "ng/L"),
        ("", "mL/min/1.73m2", "mL/min/{1.73_m2}"),
        ("", "x10e3/uL", "10*3/uL"),
        ("", "秒", "s"),
        ("potassium", "mEq/L", "mmol/L"),
    ],
)
def test_a_usual_spelling_is_listed(concept: str, spelling: str, ucum: str) -> None:
    assert unit_table()[concept, spelling] == ucum


def test_milliequivalents_are_millimoles_for_potassium_alone() -> None:
    assert {concept for concept, spelling in unit_table() if spelling.lower() == "meq/l"} == {"potassium"}


def test_a_rate_without_body_surface_is_not_listed() -> None:
    assert not {"mL/min", "ml/min"} & {spelling for _, spelling in unit_table()}
