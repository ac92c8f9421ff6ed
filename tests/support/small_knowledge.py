"""A knowledge folder of one topic and two rules, small enough to break one line at a time."""

from __future__ import annotations

from pathlib import Path

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.schema import PENDING_LIMITS

FILES = {
    "VERSION": "1.0.0\n",
    "sources/S0.yaml": """\
id: S0
kind: seed
title: {en: Article, zh: 文章}
author: A
year: 2025
short: {en: Article, zh: 文章}
tier: 3
seen: read
""",
    "statements/S0.yaml": """\
- id: S0-01
  text: {en: Below 200 is low., zh: 低于200为低。}
  kind: threshold
  disposition: [rule]
- id: S0-02
  text: {en: Wrong., zh: 有误。}
  kind: caveat
  disposition: [rejected]
  because: {en: It is wrong., zh: 有误。}
""",
    "facts/b12.yaml": """\
serum_b12:
  label: {en: B12, zh: 维生素B12}
  observation: b12
  take: latest
  within: b12_max_age
  unit: pg/mL
age:
  label: {en: Age, zh: 年龄}
  patient: age
  unit: a
alive:
  label: {en: Alive, zh: 在世}
  patient: alive
takes_b12:
  label: {en: Takes B12, zh: 使用B12}
  medication: [b12-product]
  state: active
  take: exists
low_b12:
  label: {en: Low B12, zh: B12低}
  when: {fact: serum_b12, below: b12_low}
untreated:
  label: {en: Untreated, zh: 未治疗}
  when: {fact: takes_b12, is: false}
""",
    "b12/topic.yaml": """\
id: b12
title: {en: B12, zh: 维生素B12}
scope: {en: All., zh: 所有人。}
applies: {fact: alive, is: true}
owner: Owner
attributes:
  developer: A
  funding: None
override_reasons: [disagree]
""",
    "b12/thresholds.yaml": """\
b12_low:
  label: {en: Low, zh: 低}
  unit: pg/mL
  values: [{since: 2025-01-01, value: 200}]
  source: [S0-01]
b12_max_age:
  label: {en: Age, zh: 时效}
  unit: d
  values: [{since: 2025-01-01, value: 365}]
  source: [S0-01]
adult_age:
  label: {en: Adult, zh: 成人}
  unit: a
  values: [{since: 2025-01-01, value: 18}]
  source: [S0-01]
"""
    + "".join(
        f"{name}: {{label: {{en: N, zh: 数}}, unit: d, values: [{{since: 2025-01-01, value: 3}}], source: [S0-01]}}\n"
        for name in (*PENDING_LIMITS.values(), "medication_gap", "single_dose_effect")
    ),
    "computed.yaml": (knowledge_dir() / "computed.yaml").read_text(encoding="utf-8"),
    "b12/low.yaml": """\
id: low
version: 1.0.0
status: active
hooks: [patient-view]
priority: 1
title: {en: Low, zh: 低}
why: {en: It matters., zh: 重要。}
when:
  all:
    - {fact: serum_b12, below: b12_low}
    - {fact: takes_b12, is: false}
unless: {fact: age, below: adult_age}
variants:
  - id: first
    when: {fact: untreated, is: true}
    indicator: info
  - id: second
    when: {fact: untreated, is: false}
    indicator: info
card:
  indicator: warning
  summary:
    en: B12 is low.
    zh: B12偏低。
  detail:
    - part: found
      en: "Result: {serum_b12}."
      zh: "结果：{serum_b12}。"
      cites: [S0-01]
  suggestions:
    - {order: order-mma}
    - {order: stop-b12, of: takes_b12}
  override_reasons: [disagree]
known_wrong: {en: Rarely., zh: 少见。}
source: [S0-01]
author: A
next_review: "2030-01-01"
""",
    "b12/other.yaml": """\
id: other
version: 1.0.0
status: active
hooks: [patient-view]
priority: 2
title: {en: Other, zh: 其他}
why: {en: It matters., zh: 重要。}
when: {fact: low_b12, is: true}
silenced_by: [low]
card:
  indicator: info
  summary: {en: Other., zh: 其他。}
  detail:
    - {part: found, en: Other., zh: 其他。}
known_wrong: {en: Rarely., zh: 少见。}
source: [S0-01]
author: A
next_review: "2030-01-01"
""",
    "orders.yaml": """\
order-mma:
  label: {en: Order MMA, zh: 开具MMA}
  test:
    observation: mma
    text: {en: MMA, zh: MMA}
    codings: [{system: loinc, code: 13964-2, display: MMA}]
    fresh_within: b12_max_age
b12-oral:
  label: {en: B12 by mouth, zh: 口服B12}
  medicine:
    - medicine:
        text: {en: B12 1000 ug, zh: B12 1000 μg}
        codings: [{system: atc, code: B03BA01, display: cyanocobalamin}]
        dose: {value: 1000, unit: ug}
        route: oral
        schedule: [{text: {en: Once a day., zh: 每日一次。}, every: 1, unit: d}]
  regimens:
    other:
      source: [S0-01]
      medicine:
        - medicine:
            text: {en: B12 500 ug, zh: B12 500 μg}
            codings: [{system: rxnorm, code: "11248", display: cyanocobalamin}]
            dose: {value: 500, unit: ug}
            route: oral
            schedule: [{text: {en: Once a day., zh: 每日一次。}, every: 1, unit: d}]
stop-b12:
  label: {en: Stop B12, zh: 停用B12}
  stop: true
""",
    "override_reasons.yaml": "disagree: {text: {en: I disagree, zh: 不同意}}\n",
    "review_limits.yaml": "few_answers: 20\nlimits: []\n",
    "services.yaml": """\
- id: b12-patient-view
  hook: patient-view
  topic: b12
  title: {en: B12, zh: 维生素B12}
  description: {en: B12., zh: 维生素B12。}
""",
    "units.yaml": '- {spelling: "pg/mL", ucum: "pg/mL"}\n',
    "valuesets/b12.yaml": """\
id: b12
kind: observation
title: {en: B12, zh: 维生素B12}
includes: {en: Serum B12., zh: 血清B12。}
analyte: {unit: pg/mL, molar_mass: 1355.37, plausible: [20, 60000]}
preferred: {system: loinc, code: 2132-9}
text: [B12]
""",
    "valuesets/b12.csv": "system,code,match,display\nloinc,2132-9,exact,B12\nloinc,14685-2,exact,B12\n",
    "valuesets/mma.yaml": """\
id: mma
kind: observation
title: {en: MMA, zh: MMA}
includes: {en: Serum MMA., zh: 血清MMA。}
analyte: {unit: umol/L}
""",
    "valuesets/b12-product.yaml": """\
id: b12-product
kind: medication
title: {en: B12, zh: 维生素B12}
includes: {en: Any B12., zh: 任何B12。}
text: [B12]
""",
}


def write(root: Path) -> Path:
    """Writes the folder below `root`."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
