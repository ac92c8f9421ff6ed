"""Dosages as micrograms at one time and a day: structured, in plain text, in tablets; and where doubt is unknown."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.coding import SNOMED, UCUM
from cds_service.fhir.read.dose_text import read_dose_text
from cds_service.fhir.read.strength import UNKNOWN, Strength, strength_in_name
from cds_service.quantity import Interval, point
from cds_service.record import MedicationUse
from tests.support.reasons import notes
from tests.support.small_terminology import TERMINOLOGY, read, request, statement

BID = {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}
DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}


def dose(value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"doseAndRate": [{"doseQuantity": {"value": value, "unit": unit, **more}}]}


def taken(*dosages: dict[str, Any], **members: Any) -> MedicationUse:
    (use,) = read(request(dosageInstruction=list(dosages), **members)).medications
    return use


def daily(*dosages: dict[str, Any], **members: Any) -> Interval | None:
    return taken(*dosages, **members).daily_dose


@pytest.mark.parametrize(
    ("text", "micrograms"),
    [
        ("1000 µg qd", 1000),
        ("1000 μg qd", 1000),
        ("1000 mcg po od", 1000),
        ("1000微克 每日一次", 1000),
        ("15 mg tid", 45000),
        ("15mg 每日三次", 45000),
        ("每次15mg，每日3次", 45000),
        ("15mg 3次/日", 45000),
        ("2.5 mg once daily", 2500),
        ("2.5 mg every evening", 2500),
        ("take 1,000 mcg by mouth daily with breakfast", 1000),
        ("5 mg every other day", 2500),
        ("0.5mg 隔日一次", 250),
        ("500 ug every 12 hours", 1000),
        ("500 ug q8h", 1500),
        ("1 mg three times a day", 3000),
        ("1 mg 2 times per day", 2000),
        ("7 mg weekly", 1000),
        ("7mg 每周1次", 1000),
        ("7 mg twice a week", 2000),
        ("500 µg 早晚各一次", 1000),
        ("45 mg/d", 45000),
        ("Take 1 tablet (5 mg) by mouth at bedtime", 5000),
        ("0.005 g daily", 5000),
        ("45mg/天", 45000),
        ("TAKE 1 TABLET BY MOUTH ONCE DAILY AT 6 PM", 5000),
        ("15 mg daily in three divided doses", 15000),
        ("45 mg/day in 3 divided doses", 45000),
        ("每日45mg分3次服", 45000),
        ("One To Be Taken Each Day", 5000),
        ("One Tablet To Be Taken Each Morning", 5000),
        ("Two To Be Taken Twice A Day", 20000),
        ("Take one daily", 5000),
        ("One twice a day", 10000),
        ("1 daily", 5000),
        ("one a day", 5000),
        ("1 OD", 5000),
        ("1 OM", 5000),
        ("1 ON", 5000),
        ("1 tds with food", 15000),
        ("half daily", 2500),
        ("1-0-0", 5000),
        ("1-0-1", 10000),
        ("½-0-½", 5000),
        ("2-0-1", 15000),
        ("5 mg 1-0-1", 10000),
        ("每次1片 每日2次", 10000),
    ],
)
def test_a_plain_text_gives_the_daily_dose(text: str, micrograms: float) -> None:
    found = daily({"text": text})
    assert found is not None
    assert (found.low, found.high) == pytest.approx((micrograms, micrograms))


@pytest.mark.parametrize(
    "text",
    [
        "15 mg tid prn",
        "15 mg tid as needed",
        "必要时 15mg 每日3次",
        "5 mg daily or as directed",
        "5 mg Mon, Wed, Fri",
        "5mg 周一 周三",
        "5 mg daily then 2.5 mg daily",
        "5 mg in the morning and 2.5 mg in the evening",
        "15 mg bid in three divided doses",
        "15 mg daily in divided doses",
        "One to two daily",
        "take 1 or 2 daily",
        "1 puff daily",
        "1 dose daily",
        "1000 daily",
        "1 mane 1 nocte",
        "5 mg 2-0-1",
        "1-0-1 bid",
        "10 mg daily bid",
        "2 tablets (5 mg) daily",
        "1½ tablets daily",
        "1000 IU daily",
        "5 mg",
        "daily",
        "according to INR, 5 mg daily",
        "up to 5 mg daily",
        "increase by 5 mg daily",
        "5 mg daily; next check 3",
        "5 mg/mL daily",
        "2 x 50 ug daily",
        "5 mg daily " + "x" * 500,
    ],
)
def test_a_text_that_leaves_doubt_gives_no_daily_dose(text: str) -> None:
    assert daily({"text": text}) is None


def test_a_monthly_dose_is_known_and_its_daily_dose_is_not() -> None:
    use = taken({"text": "1000 mcg IM monthly"})
    assert (use.dose, use.daily_dose, use.route) == (point(1000), None, "im")


def test_a_range_in_a_text_is_an_interval() -> None:
    assert daily({"text": "1-2 tablets daily"}) == Interval(5000, 10000)


@pytest.mark.parametrize(
    "text",
    [
        "10 mg IV once",
        "10 mg stat",
        "10mg im st",
        "10 mg IV over 20 minutes x1",
        "10 mg 单次",
        "一次性 10mg",
        "single dose 10 mg",
    ],
)
def test_a_dose_given_once_is_single(text: str) -> None:
    use = taken({"text": text})
    assert (use.single_dose, use.dose, use.daily_dose) == (True, point(10000), point(10000))


def test_once_daily_is_not_once() -> None:
    assert not taken({"text": "10 mg once daily"}).single_dose


@pytest.mark.parametrize(
    "text", ["5 mg daily for 7 days", "5 mg daily x 7 days", "5mg 每日一次 共7天", "5 mg daily for 1 week"]
)
def test_a_text_may_state_the_length_of_the_course(text: str) -> None:
    use = taken({"text": text})
    assert (use.course_days, use.daily_dose) == (7, point(5000))


def test_a_dosage_text_is_read_in_linear_time() -> None:
    # Patterns that backtrack would take minutes here.
    assert read_dose_text("every 1 1,111,111-" * 27).doubtful


@pytest.mark.parametrize(
    ("timing", "a_day"),
    [
        (BID, 2),
        ({"repeat": {"period": 1, "periodUnit": "d"}}, 1),
        ({"repeat": {"frequency": 1, "period": 8, "periodUnit": "h"}}, 3),
        ({"repeat": {"frequency": 1, "period": 2, "periodUnits": "d"}}, 0.5),
        ({"repeat": {"frequency": 7, "period": 1, "periodUnit": "wk"}}, 1),
        ({"repeat": {"when": ["MORN", "EVE"]}}, 2),
        ({"repeat": {"when": "HS"}}, 1),
        ({"repeat": {"frequency": 3, "period": 1, "periodUnit": "d", "when": ["PC"]}}, 3),
        ({"repeat": {"timeOfDay": ["08:00:00", "20:00:00"], "period": 1, "periodUnit": "d"}}, 2),
        ({"code": {"coding": [{"code": "TID"}]}}, 3),
        ({"code": {"coding": [{"code": "QOD"}]}}, 0.5),
        ({"code": {"coding": [{"code": "BED"}]}}, 1),
        ({"code": {"text": "twice daily"}}, 2),
        ({"code": {"coding": [{"code": "BID"}]}, **BID}, 2),
    ],
)
def test_a_timing_gives_doses_a_day(timing: dict[str, Any], a_day: float) -> None:
    assert daily({"timing": timing, **dose(1, "mg")}) == point(1000 * a_day)


@pytest.mark.parametrize(
    "timing",
    [
        None,
        {"repeat": {"frequency": 1, "period": 1, "periodUnit": "mo"}},
        {"repeat": {"frequency": 2}},
        {"repeat": {"when": ["AC"]}},
        {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["MORN", "EVE"]}},
        {"repeat": {"frequency": 0, "period": 1, "periodUnit": "d"}},
        {"repeat": {"frequency": 1, "period": 0, "periodUnit": "d"}},
        {"repeat": {"frequency": 2, "frequencyMax": 1, "period": 1, "periodUnit": "d"}},
        {"repeat": {"frequency": 2, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon", "wed", "fri"]}},
        {"code": {"coding": [{"code": "TID"}]}, **BID},
        {"event": ["2026-01-01", "2026-01-02"]},
    ],
)
def test_a_timing_that_is_ambiguous_gives_no_daily_dose(timing: dict[str, Any] | None) -> None:
    use = taken({"timing": timing, **dose(1, "mg")})
    assert (use.daily_dose, use.dose) == (None, point(1000))


def test_a_range_of_frequencies_is_an_interval() -> None:
    timing = {"repeat": {"frequency": 1, "frequencyMax": 3, "period": 1, "periodUnit": "d"}}
    assert daily({"timing": timing, **dose(1, "mg")}) == Interval(1000, 3000)


def test_days_of_the_week_share_out_the_dose() -> None:
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon", "wed", "fri"]}}
    found = daily({"timing": timing, **dose(7, "mg")})
    assert found is not None
    assert found.low == pytest.approx(3000)


def test_a_range_of_doses_is_an_interval() -> None:
    ranged = {"doseAndRate": [{"doseRange": {"low": {"value": 1, "unit": "mg"}, "high": {"value": 2, "unit": "mg"}}}]}
    assert daily({"timing": DAILY, **ranged}) == Interval(1000, 2000)


@pytest.mark.parametrize(
    "member",
    [
        {"asNeededBoolean": True},
        {"asNeededCodeableConcept": {"text": "pain"}},
        {"asNeeded": True},
        {"asNeededFor": [{"text": "pain"}]},
    ],
)
def test_a_dose_as_needed_is_unknown(member: dict[str, Any]) -> None:
    use = taken({"timing": DAILY, **dose(5, "mg"), **member})
    assert (use.daily_dose, use.dose) == (None, None)


def test_a_dose_that_is_expressly_not_as_needed_is_known() -> None:
    assert daily({"timing": DAILY, "asNeededBoolean": False, **dose(5, "mg")}) == point(5000)


@pytest.mark.parametrize(
    ("quantity", "micrograms"),
    [
        ({"value": 5, "unit": "mg"}, 5000),
        ({"value": 5, "system": UCUM, "code": "mg"}, 5000),
        ({"value": 5, "unit": "µg", "system": UCUM, "code": "ug"}, 5),
        ({"value": 2, "unit": "tablets"}, 10000),
        ({"value": 2, "unit": "Tablet(s)"}, 10000),
        ({"value": 2, "unit": "片"}, 10000),
        ({"value": 2, "system": UCUM, "code": "{tbl}"}, 10000),
        ({"value": 1, "system": UCUM, "code": "{pill}"}, 5000),
        ({"value": 1, "system": "http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm", "code": "TAB"}, 5000),
    ],
)
def test_a_dose_quantity_is_micrograms(quantity: dict[str, Any], micrograms: float) -> None:
    assert daily({"timing": DAILY, "doseAndRate": [{"doseQuantity": quantity}]}) == point(micrograms)


def test_a_dose_that_is_no_list_is_read_as_the_only_one() -> None:
    assert daily({"timing": DAILY, "doseAndRate": {"doseQuantity": {"value": 5, "unit": "mg"}}}) == point(5000)


@pytest.mark.parametrize(
    "quantity",
    [
        {"value": 5},
        {"value": 5, "unit": "IU"},
        {"value": 5, "system": UCUM, "code": "[iU]", "unit": "mg"},
        {"value": 5, "system": UCUM, "code": "ug", "unit": "mg"},
        {"value": 5, "unit": "mL"},
        {"value": 5, "unit": "drops"},
        {"value": 5, "unit": "mg", "comparator": "<"},
        {"value": 0, "unit": "mg"},
        {"value": -5, "unit": "mg"},
        {"unit": "mg"},
    ],
)
def test_a_dose_quantity_is_unknown(quantity: dict[str, Any]) -> None:
    use = taken({"text": "5 mg daily", "timing": DAILY, "doseAndRate": [{"doseQuantity": quantity}]})
    assert (use.daily_dose, use.dose) == (None, None)


def test_ordered_and_calculated_dose_that_agree_are_one_dose() -> None:
    both = {
        "doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}, {"doseQuantity": {"value": 1, "unit": "tablet"}}]
    }
    assert daily({"timing": DAILY, **both}) == point(5000)


def test_several_instructions_add_up() -> None:
    two = daily({"timing": DAILY, **dose(5, "mg")}, {"timing": DAILY, **dose(1, "mg")})
    assert two == point(6000)


def test_instructions_that_follow_each_other_do_not_add_up() -> None:
    use = taken({"sequence": 1, "timing": DAILY, **dose(5, "mg")}, {"sequence": 2, "timing": DAILY, **dose(1, "mg")})
    assert (use.daily_dose, use.dose) == (None, None)


def test_instructions_that_follow_each_other_with_the_same_dose_have_that_dose() -> None:
    use = taken({"sequence": 1, "timing": DAILY, **dose(5, "mg")}, {"sequence": 2, "timing": DAILY, **dose(5, "mg")})
    assert use.daily_dose == point(5000)


def test_one_unknown_instruction_makes_the_sum_unknown() -> None:
    assert daily({"timing": DAILY, **dose(5, "mg")}, {"text": "as directed"}) is None


@pytest.mark.parametrize(
    "older", [{"doseQuantity": {"value": 5, "unit": "mg"}}, {"quantityQuantity": {"value": 5, "unit": "mg"}}]
)
def test_the_dose_of_older_versions_is_read(older: dict[str, Any]) -> None:
    assert daily({"timing": DAILY, **older}) == point(5000)


@pytest.mark.parametrize("timing", [{"repeat": {"count": 1}}, {"event": ["2026-03-04T08:00:00Z"]}])
def test_a_timing_of_one_instant_is_a_single_dose(timing: dict[str, Any]) -> None:
    use = taken({"timing": timing, **dose(5, "mg")})
    assert (use.single_dose, use.daily_dose) == (True, point(5000))


def test_bounds_give_start_end_and_length() -> None:
    bounds = {"repeat": {**DAILY["repeat"], "boundsPeriod": {"start": "2026-02-01", "end": "2026-02-10"}}}
    use = taken({"timing": bounds, **dose(5, "mg")})
    assert (use.start, use.end, use.course_days) == (date(2026, 2, 1), date(2026, 2, 10), 10)


def test_a_duration_is_the_length_of_the_course() -> None:
    bounds = {"repeat": {**DAILY["repeat"], "boundsDuration": {"value": 2, "unit": "weeks", "code": "wk"}}}
    assert taken({"timing": bounds, **dose(5, "mg")}).course_days == 14


def test_the_supply_counts_only_where_nothing_else_states_the_course() -> None:
    supply = {"expectedSupplyDuration": {"value": 30, "unit": "days"}}
    bounds = {"repeat": {**DAILY["repeat"], "boundsDuration": {"value": 7, "code": "d"}}}
    assert taken({"timing": DAILY}, dispenseRequest=supply).course_days == 30
    assert taken({"timing": bounds}, dispenseRequest=supply).course_days == 7


@pytest.mark.parametrize(
    ("dosage", "route"),
    [
        ({"route": {"coding": [{"system": SNOMED, "code": "26643006"}]}}, "oral"),
        ({"route": {"coding": [{"system": SNOMED, "code": "37839007"}]}}, "sublingual"),
        ({"route": {"coding": [{"system": SNOMED, "code": "46713006"}]}}, "nasal"),
        ({"route": {"coding": [{"system": SNOMED, "code": "78421000"}]}}, "im"),
        ({"route": {"coding": [{"system": SNOMED, "code": "34206005"}]}}, "sc"),
        ({"route": {"coding": [{"system": SNOMED, "code": "47625008"}]}}, "iv"),
        ({"route": {"coding": [{"system": SNOMED, "code": "6064005"}]}}, "topical"),
        ({"route": {"coding": [{"code": "PO"}]}}, "oral"),
        ({"route": {"text": "Intramuscular use"}}, "im"),
        ({"route": {"text": "静脉注射"}}, "iv"),
        ({"text": "肌注 1mg 隔日一次"}, "im"),
        ({"text": "舌下含服"}, "sublingual"),
        ({"text": "inject 1 mL into the muscle"}, "im"),
        ({"text": "inject 1 mL under the skin"}, "sc"),
        ({"text": "1 mg sl or im"}, None),
        ({}, None),
    ],
)
def test_the_route_is_read(dosage: dict[str, Any], route: str | None) -> None:
    assert taken(dosage, medicationCodeableConcept={"text": "cyanocobalamin"}).route == route


@pytest.mark.parametrize(
    ("product", "route"),
    [
        ("cyanocobalamin injection", "parenteral"),
        ("维生素B12注射液", "parenteral"),
        ("cyanocobalamin tablet", "oral"),
        ("cyanocobalamin sublingual tablet", "sublingual"),
        ("cyanocobalamin nasal spray", "nasal"),
    ],
)
def test_the_form_implies_the_route(product: str, route: str) -> None:
    assert taken(medicationCodeableConcept={"text": product}).route == route


@pytest.mark.parametrize("dosage", ["as prescribed", [7], [{"timing": "daily"}]])
def test_a_dosage_that_cannot_be_read_does_not_lose_the_medicine(dosage: object) -> None:
    record = read(request(dosageInstruction=dosage))
    (use,) = record.medications
    assert (use.daily_dose, use.product) == (None, "Warfarin Sodium 5 MG Oral Tablet")
    assert notes(record) == {"MedicationRequest whose dosage could not be read: dose unknown": 1}


@pytest.mark.parametrize(
    ("dosage", "words"),
    [
        ({"text": "  5 mg   daily "}, "5 mg daily"),
        ({"timing": BID, **dose(5, "mg")}, "5 mg twice a day"),
        (
            {"timing": {"repeat": {"frequency": 1, "period": 2, "periodUnit": "wk"}}, **dose(5, "mg")},
            "5 mg 1 × every 2 weeks",
        ),
        ({}, ""),
    ],
)
def test_the_dosage_is_reported_in_words(dosage: dict[str, Any], words: str) -> None:
    assert taken(dosage).reported_dose == words


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("Warfarin Sodium 5 MG Oral Tablet", Strength(each=5000)),
        ("华法林钠片 2.5mg", Strength(each=2500)),
        ("维生素K2软胶囊 15mg", Strength(each=15000)),
        ("cyanocobalamin 1 MG/ML Injection", Strength(ml=1000)),
        ("1 ML cyanocobalamin 1 MG/ML Injection", Strength(each=1000, ml=1000)),
        ("cyanocobalamin 10 mg/5 ml solution", Strength(ml=2000)),
        ("维生素B12注射液 1ml:0.5mg", Strength(each=500, ml=500)),
        ("MK-7 100 µg/drop", Strength(drop=100)),
        ("D3 2000 IU + K2 100 µg", Strength(each=100)),
        ("D3/K2 25 mcg/75 mcg per drop", Strength(drop=75)),
        ("D3/K2 25/75 mcg per drop", Strength(drop=75)),
        ("K2/D3 75/25 mcg", Strength(each=75)),
        ("D3 + K2 1000 IU/45 mcg capsule", Strength(each=45)),
        ("Vitamin D3 K2 drops 25 mcg/75 mcg per drop", Strength(drop=75)),
        ("D3+K2 125mcg+100mcg per 5 drops", Strength(drop=20)),
        ("D3 125 µg + K2 100 µg", Strength(each=100)),
        ("D3K2 capsule: D3 400 IU K2 45 µg", Strength(each=45)),
        ("vitamin B12, 1,000 mcg tablet", Strength(each=1000)),
        ("folic acid 5 mg and calcium 500 mg", Strength(each=5000)),
        ("D3 2000 IU + vit. K 100 µg", Strength(each=100)),
        ("D3K2 100 µg", UNKNOWN),
        ("D3 10 µg K2 75 µg", UNKNOWN),
        ("vitamin B12 1 mg and folic acid 5 mg", UNKNOWN),
        ("calcium 500 mg + vitamin K2", UNKNOWN),
        ("MK-7 100 µg per 2 capsules", UNKNOWN),
        ("K2 1000 IU", UNKNOWN),
        ("Warfarin", UNKNOWN),
    ],
)
def test_the_strength_in_a_name(name: str, strength: Strength) -> None:
    concepts = TERMINOLOGY.concepts("medication", (), name)
    assert strength_in_name(name, TERMINOLOGY, concepts) == strength


def test_millilitres_are_counted_by_the_concentration() -> None:
    injection = {"text": "cyanocobalamin 1 MG/ML Injection"}
    assert daily({"timing": DAILY, **dose(2, "mL")}, medicationCodeableConcept=injection) == point(2000)


def test_a_dose_of_an_over_the_counter_statement_is_read() -> None:
    (use,) = read(statement(dosage=[{"text": "2 capsules daily"}])).medications
    assert (use.daily_dose, use.strength, use.route) == (point(360), 180, "oral")


@pytest.mark.parametrize(
    "dosage",
    [
        {"text": "5000 units SC once daily"},
        {"text": "5000 IU daily"},
        {"text": "5000单位 皮下 每日一次"},
        {"timing": DAILY, **dose(5000, "IU", system=UCUM, code="[iU]")},
        {"timing": DAILY, **dose(5, "kU", system=UCUM, code="k[IU]")},
        {"timing": DAILY, **dose(5000, "unit")},
    ],
    ids=str,
)
def test_a_dose_in_units_is_kept_in_units_and_is_no_mass(dosage: dict[str, Any]) -> None:
    use = taken(dosage)
    assert (use.daily_units, use.daily_dose) == (point(5000), None)


def test_a_product_that_is_taken_when_needed_says_so() -> None:
    assert taken({"text": "5 mg daily prn"}).as_needed
    assert not taken({"text": "5 mg daily"}).as_needed
