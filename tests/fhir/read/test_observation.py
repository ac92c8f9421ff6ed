"""Observations as laboratory results: units, comparators, dates, statuses, and what makes a result unusable."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.coding import LOINC, UCUM
from cds_service.quantity import Interval, point
from cds_service.record import LabResult
from tests.support.reasons import incomplete, notes
from tests.support.small_terminology import observation, read


def only(*resources: dict[str, Any], concept: str = "serum-vitamin-b12") -> LabResult:
    (result,) = read(*resources).labs[concept]
    return result


def quantity(value: float, unit: str | None = None, code: str | None = None, **more: Any) -> dict[str, Any]:
    members: dict[str, Any] = {"value": value, "unit": unit, "code": code, **more}
    if code is not None:
        members.setdefault("system", UCUM)
    return {name: member for name, member in members.items() if member is not None}


def coded(loinc: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": loinc}]}


def test_a_result_is_read_with_value_day_and_reference() -> None:
    result = only(observation(issued="2026-05-02T08:00:00Z"))
    assert (result.value, result.effective, result.reference) == (point(210), date(2026, 5, 1), "Observation/o1")
    assert result.reported == "210 pg/mL"


def test_molar_units_are_converted_by_the_molar_mass() -> None:
    result = only(observation(valueQuantity=quantity(147, "pmol/L", "pmol/L")))
    assert result.value is not None
    assert result.value.low == pytest.approx(147 * 1.35537)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("pg/ml", 1), ("PG/ML", 1), ("ng/L", 1), ("ｐｇ/ｍｌ", 1), ("皮克/毫升", 1), ("ng/dL", 10)],
)
def test_a_unit_text_counts_when_there_is_no_code(unit: str, factor: float) -> None:
    assert only(observation(valueQuantity=quantity(210, unit))).value == point(210 * factor)


@pytest.mark.parametrize("unit", ["µmol/L", "μmol/L", "umol/l", "UMOL/L"])
def test_both_micro_signs_are_the_same_unit(unit: str) -> None:
    hcy = observation(code=coded("13965-9"), valueQuantity=quantity(16, unit))
    assert only(hcy, concept="homocysteine").value == point(16)


def test_a_spelling_listed_for_one_analyte_holds_for_that_one_only() -> None:
    potassium = observation(code=coded("2823-3"), valueQuantity=quantity(4.1, "mEq/L"))
    assert only(potassium, concept="potassium").value == point(4.1)
    assert only(observation(valueQuantity=quantity(300, "mEq/L"))).unusable == "unit not convertible"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (quantity(210), "no unit"),
        (quantity(210, ""), "no unit"),
        (quantity(210, code="pg/mL", system="http://local"), "no unit"),
        (quantity(210, "bananas"), "unit not convertible"),
        (quantity(210, "IU/L"), "unit not convertible"),
        (quantity(210, "x" * 5000), "unit not convertible"),
        (quantity(210, "pmol/L", "pg/mL"), "unit code and unit text contradict each other"),
        (quantity(210, "ng/mL", "pg/mL"), "unit code and unit text contradict each other"),
        (quantity(210, "[iU]/L", "pg/mL"), "unit code and unit text contradict each other"),
        (quantity(0.2, "µmol/L"), "unit never used for this analyte"),
        (quantity(0.2, "nmol/mL"), "unit never used for this analyte"),
        (quantity(19.9, "pg/mL"), "implausible"),
        (quantity(-3, "pg/mL"), "implausible"),
        (quantity(60001, "pg/mL"), "implausible"),
        (quantity(210, "pg/mL", comparator="ad"), "comparator not understood"),
        ({"unit": "pg/mL"}, "no value"),
    ],
)
def test_a_result_is_unusable(value: dict[str, Any], why: str) -> None:
    result = only(observation(valueQuantity=value))
    assert (result.value, result.unusable) == (None, why)


def test_an_unusable_result_is_noted_without_its_value() -> None:
    record = read(observation(valueQuantity=quantity(87654.25, "pg/mL")))
    assert notes(record) == {"serum-vitamin-b12 result unusable: implausible": 1}


@pytest.mark.parametrize("text", ["picogram per mL", "pg/ml"])
def test_code_and_text_that_do_not_contradict_each_other_are_fine(text: str) -> None:
    assert only(observation(valueQuantity=quantity(210, text, "pg/mL"))).value == point(210)


@pytest.mark.parametrize("value", [20, 60000])
def test_the_limits_of_plausibility_are_plausible(value: float) -> None:
    assert only(observation(valueQuantity=quantity(value, "pg/mL"))).value == point(value)


@pytest.mark.parametrize(
    ("comparator", "value", "interval"),
    [
        ("<", 150, Interval(0, 150, high_open=True)),
        ("<=", 200, Interval(0, 200)),
        (">", 2000, Interval(2000, float("inf"), low_open=True)),
        (">=", 2000, Interval(2000, float("inf"))),
        ("<", 10, Interval(0, 10, high_open=True)),
    ],
)
def test_a_comparator_makes_an_interval(comparator: str, value: float, interval: Interval) -> None:
    assert only(observation(valueQuantity=quantity(value, "pg/mL", comparator=comparator))).value == interval


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<150 pg/mL", Interval(0, 150, high_open=True)),
        ("＜150 pg/mL", Interval(0, 150, high_open=True)),
        ("≥ 2000 pg/ml", Interval(2000, float("inf"))),
        ("147.5 pg/mL", point(147.5)),
    ],
)
def test_a_value_string_is_read(text: str, value: Interval) -> None:
    assert only(observation(valueQuantity=None, valueString=text)).value == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("147", "no unit"),
        ("negative", "no number"),
        ("1,234 pg/mL", "no number"),
        ("1.2.3 pg/mL", "no number"),
        ("147 or 150 pg/mL", "unit not convertible"),
        ("9" * 3000, "no number"),
    ],
)
def test_a_value_string_that_is_not_plain_is_unusable(text: str, why: str) -> None:
    assert only(observation(valueQuantity=None, valueString=text)).unusable == why


@pytest.mark.parametrize("unit", [None, "1", "{INR}", "{ratio}", "INR", "Ratio"])
def test_an_inr_needs_no_unit(unit: str | None) -> None:
    inr = observation(code=coded("6301-6"), valueQuantity=quantity(2.4, unit))
    assert only(inr, concept="inr").value == point(2.4)


@pytest.mark.parametrize("unit", ["%", "s"])
def test_a_prothrombin_value_in_another_unit_is_no_inr(unit: str) -> None:
    inr = observation(code=coded("6301-6"), valueQuantity=quantity(40, unit))
    assert only(inr, concept="inr").unusable == "unit not convertible"


def test_an_inr_may_be_a_plain_string_or_an_integer() -> None:
    text = observation(code=coded("6301-6"), valueQuantity=None, valueString="2.5")
    integer = observation(code=coded("6301-6"), valueQuantity=None, valueInteger=3, id="o2")
    assert {result.value for result in read(text, integer).labs["inr"]} == {point(2.5), point(3)}


def test_an_egfr_in_ml_per_minute_is_read() -> None:
    egfr = observation(code=coded("33914-3"), valueQuantity=quantity(55, "mL/min", "mL/min"))
    assert only(egfr, concept="egfr").value == point(55)


def test_a_data_absent_reason_makes_a_result_unusable() -> None:
    result = only(observation(dataAbsentReason={"coding": [{"code": "error"}]}))
    assert (result.value, result.unusable) == (None, "data absent")


def test_a_result_without_any_value_is_unusable() -> None:
    assert only(observation(valueQuantity=None)).unusable == "no value"


@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_these_statuses_are_used(status: str) -> None:
    assert only(observation(status=status)).value == point(210)


@pytest.mark.parametrize("status", ["partial", "cancelled", "entered-in-error", "unknown", None])
def test_these_statuses_are_ignored(status: str | None) -> None:
    record = read(observation(status=status))
    assert (record.labs, record.pending) == ({}, ())


@pytest.mark.parametrize("status", ["preliminary", "registered"])
def test_a_preliminary_result_is_a_test_in_progress(status: str) -> None:
    record = read(observation(status=status))
    (pending,) = record.pending
    assert (record.labs, pending.kind, pending.since) == ({}, "result in progress", date(2026, 5, 1))
    assert pending.concepts == {"serum-vitamin-b12"}


@pytest.mark.parametrize(
    ("members", "day", "partial"),
    [
        ({"effectiveDateTime": "2026-05"}, date(2026, 5, 31), True),
        ({"effectiveDateTime": "2024-02"}, date(2024, 2, 29), True),
        ({"effectiveDateTime": "2025"}, date(2025, 12, 31), True),
        ({"effectiveDateTime": "2026-05-01T23:30:00-05:00"}, date(2026, 5, 1), False),
        ({"effectiveDateTime": None, "effectiveInstant": "2026-05-03T01:02:03Z"}, date(2026, 5, 3), False),
        (
            {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-05-01", "end": "2026-05-04"}},
            date(2026, 5, 4),
            False,
        ),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": "2026-05-01"}}, date(2026, 5, 1), False),
        ({"effectiveDateTime": None, "issued": "2026-05-05T00:00:00Z"}, date(2026, 5, 5), False),
        ({"effectiveDateTime": "yesterday", "issued": "2026-05-05T00:00:00Z"}, date(2026, 5, 5), False),
    ],
)
def test_the_day_of_a_result(members: dict[str, Any], day: date, partial: bool) -> None:
    result = only(observation(**members))
    assert (result.effective, result.partial_date, result.unusable) == (day, partial, None)


@pytest.mark.parametrize("written", [None, "soon", "2026-13-01", 20260501, ["2026"]])
def test_a_result_without_a_readable_date_is_unusable(written: object) -> None:
    result = only(observation(effectiveDateTime=written))
    assert (result.effective, result.value, result.unusable) == (None, None, "no date")


def test_results_are_newest_first_with_ties_by_issue_and_undated_ones_last() -> None:
    def dated(number: int, **members: Any) -> dict[str, Any]:
        return observation(id=f"o{number}", **members)

    record = read(
        dated(1, effectiveDateTime=None),
        dated(2, effectiveDateTime="2026-05-01", issued="2026-05-01T09:00:00Z"),
        dated(3, effectiveDateTime="2026-05-01", issued="2026-05-01T10:00:00Z"),
        dated(4, effectiveDateTime="2026-05-02T06:00:00Z"),
        dated(5, effectiveDateTime="2026-05-02T09:00:00+02:00"),
        dated(6, effectiveDateTime="2025-01-01"),
    )
    assert [one.reference[-1] for one in record.labs["serum-vitamin-b12"]] == ["5", "4", "3", "2", "6", "1"]


def test_components_are_results_of_their_own() -> None:
    record = read(
        observation(
            code=coded("58410-2"),
            valueQuantity=None,
            component=[
                {"code": coded("718-7"), "valueQuantity": quantity(13.1, "g/dL", "g/dL")},
                {"code": coded("2823-3"), "dataAbsentReason": {"text": "lost"}},
                {"code": coded("9999-9"), "valueQuantity": quantity(1, "mg/dL")},
            ],
        )
    )
    assert {concept: [r.value for r in results] for concept, results in record.labs.items()} == {
        "haemoglobin": [point(131)],
        "potassium": [None],
    }


def test_a_panel_that_only_groups_other_results_is_no_result() -> None:
    assert read(observation(valueQuantity=None, hasMember=[{"reference": "Observation/o2"}])).labs == {}


@pytest.mark.parametrize(
    ("interpretation", "flag"),
    [
        ([{"coding": [{"code": "L"}]}], "L"),
        ({"coding": [{"system": "http://hl7.org/fhir/v2/0078", "code": "LL"}]}, "LL"),  # STU3: one, not a list
        ([{"text": "偏低"}], "L"),
        ([{"text": "see comment"}], None),
        (7, None),
    ],
)
def test_the_flag_of_the_laboratory_is_read(interpretation: object, flag: str | None) -> None:
    result = only(observation(interpretation=interpretation))
    assert (result.flag, result.value) == (flag, point(210))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ([{"text": "197-771 pg/mL"}], "197-771 pg/mL"),
        ([{"low": quantity(197, "pg/mL"), "high": quantity(771, "pg/mL")}], "197–771 pg/mL"),
        ([{"low": quantity(197, "pg/mL")}], "≥197 pg/mL"),
        ([{"high": quantity(771)}], "≤771"),
        ("197-771", None),
    ],
)
def test_the_range_of_the_laboratory_is_kept_in_words(written: object, shown: str | None) -> None:
    result = only(observation(referenceRange=written))
    assert (result.lab_range, result.value) == (shown, point(210))


def test_a_local_code_with_a_known_text_is_recognised() -> None:
    result = only(observation(code={"coding": [{"system": "urn:lab", "code": "77"}], "text": "血清维生素B12测定"}))
    assert result.concept == "serum-vitamin-b12"


def test_a_look_alike_text_is_not_recognised() -> None:
    assert read(observation(code={"text": "Vitamin B12 binding capacity"})).labs == {}


def test_an_observation_of_no_interest_may_have_any_shape() -> None:
    record = read(observation(code=coded("1-1"), valueQuantity="wrong", issued=7))
    assert (record.labs, record.incomplete, record.notes) == ({}, {}, {})


def test_an_observation_of_interest_that_cannot_be_read_leaves_its_list_incomplete() -> None:
    record = read(observation(valueQuantity={"value": "two hundred"}), observation(id="o2"))
    assert incomplete(record) == {"observations": "1 × Observation could not be read"}
    assert [result.reference for result in record.labs["serum-vitamin-b12"]] == ["Observation/o2"]


def test_one_without_a_readable_code_may_be_anything() -> None:
    assert "observations" in read(observation(code=7)).incomplete


def test_one_that_cannot_be_read_and_was_entered_in_error_is_not_missed() -> None:
    assert read(observation(status="entered-in-error", component=7)).incomplete == {}


def test_one_that_cannot_be_read_and_is_of_somebody_else_is_not_missed() -> None:
    assert read(observation(status=7, subject={"reference": "Patient/p2"})).incomplete == {}


def test_components_that_cannot_be_read_may_be_anything() -> None:
    assert "observations" in read(observation(code={"text": "Sodium"}, component=7)).incomplete


def test_one_that_cannot_be_read_and_is_of_another_test_is_not_missed() -> None:
    assert read(observation(code=coded("1-1") | {"text": "Sodium"}, status=7)).incomplete == {}


@pytest.mark.parametrize("unit", ["{INR}", "[pH]"])
def test_a_ucum_code_that_measures_nothing_of_the_kind_makes_a_result_unusable(unit: str) -> None:
    assert only(observation(valueQuantity=quantity(210, unit, unit))).unusable == "unit not convertible"


def test_after_sixty_four_unlisted_units_a_further_one_is_not_looked_up() -> None:
    # A unit that the library has not seen costs it milliseconds; a call may not spend seconds on invented ones.
    flood = [observation(id=f"x{n}", valueQuantity=quantity(210, f"pg/mL.m{n}")) for n in range(64)]
    further = observation(id="further", valueQuantity=quantity(210, "fmol/mL"))
    listed = observation(id="listed", valueQuantity=quantity(210, "pmol/l"))
    values = {one.reference: one.unusable for one in read(*flood, further, listed).labs["serum-vitamin-b12"]}
    assert (values["Observation/further"], values["Observation/listed"]) == ("unit not convertible", None)
    assert read(further).labs["serum-vitamin-b12"][0].unusable is None


@pytest.mark.parametrize(
    "focus",
    [
        [{"reference": "RelatedPerson/child"}],
        [{"reference": "Patient/p2"}],
        [{"reference": "Patient/p1"}, {"reference": "Patient/p2"}],
        [{"display": "fetus"}],
        {"reference": "Patient/p2"},
    ],
)
def test_a_result_about_somebody_else_in_the_patients_chart_is_left_out(focus: object) -> None:
    record = read(observation(focus=focus))
    assert record.labs == {}
    assert list(notes(record)) == [
        "Observation dropped: it is about somebody or something else than its subject (focus)"
    ]


@pytest.mark.parametrize("focus", [[], [{"reference": "Patient/p1"}]])
def test_a_result_whose_focus_is_the_patient_counts(focus: object) -> None:
    assert read(observation(focus=focus)).labs


# --- the laboratory's own words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "flag"),
    [
        ("150 pg/mL (L)", 150, "L"),
        ("150 pg/mL [LL]", 150, "LL"),
        ("150 pg/mL L", 150, "L"),
        ("150 pg/mL low", 150, "L"),
        ("150 pg/mL (偏低)", 150, "L"),
        ("150 pg/mL ↓", 150, "L"),
        ("2500 pg/mL (H)", 2500, "H"),
        ("250 pg/mL (N)", 250, "N"),
        ("250 pg/mL", 250, None),
        ("Low", None, "L"),
        ("偏低", None, "L"),
        ("Critically low", None, "LL"),
        ("see comment", None, None),
    ],
)
def test_number_unit_and_flag_are_read_from_one_text(text: str, value: float | None, flag: str | None) -> None:
    found = only(observation(valueQuantity=None, valueString=text))
    assert (found.value and found.value.low, found.flag) == (value, flag)


def test_a_flag_of_the_resource_stands_above_that_of_the_text() -> None:
    interpretation = [{"coding": [{"code": "N"}]}]
    found = only(observation(valueQuantity=None, valueString="150 pg/mL (L)", interpretation=interpretation))
    assert found.flag == "N"


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [
        ({"low": {"value": 147.5, "unit": "pmol/L"}, "high": {"value": 553.3, "unit": "pmol/L"}}, 199.9, 749.9),
        ({"low": {"value": 200}, "high": {"value": 900}}, 200, 900),
        ({"text": "200-900 pg/mL"}, 200, 900),
        ({"text": "< 900"}, None, 900),
        ({"text": "see report"}, None, None),
        ({"low": {"value": 200, "unit": "IU/L"}}, None, None),
    ],
)
def test_the_ends_of_the_laboratorys_range_are_read_in_the_unit_of_the_analyte(
    written: dict[str, Any], low: float | None, high: float | None
) -> None:
    found = only(observation(referenceRange=[written]))
    assert (found.lab_low, found.lab_high) == (
        low and pytest.approx(low, abs=0.1),
        high and pytest.approx(high, abs=0.1),
    )
