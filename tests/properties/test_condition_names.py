"""Names of conditions: what denies, fears or only looks like one is never read as it, in any value set."""

from __future__ import annotations

import pytest

from tests.support.kb import knowledge

# A relative's disease is what the first one holds; the others say why a medicine is given, or that something was a
# reaction, and a reason or reaction that is only suspected is one.
SPECIAL = frozenset(
    {
        "leber-in-family",
        "urgent-procedure",
        "over-anticoagulation",
        "active-bleeding",
        "hypersensitivity",
        "anaphylaxis",
    }
)
PLAIN = sorted(
    concept
    for concept, one in knowledge().terminology.value_sets.items()
    if one.kind == "condition" and concept not in SPECIAL
)
ALL = sorted([*PLAIN, *SPECIAL])
DENIALS = [
    "no ",
    "not ",
    "non-",
    "without ",
    "never ",
    "no history of ",
    "denies ",
    "ruled out: ",
    "无",
    "非",
    "否认",
    "排除",
]
OTHERS = ["family history of ", "FHx: ", "家族史："]
FEARS = ["screening for ", "筛查"]
RISKS = ["risk of ", "at risk for ", "prevention of ", "suspected ", "有发生风险的", "预防"]
# A carrier of the mutation is at risk, and that is what this value set is about; smoke is a reason to suspect cyanide.
RISK_COUNTS = frozenset({"leber-optic-neuropathy", "cyanide-poisoning-or-vasoplegia"})


def read(text: str) -> frozenset[str]:
    return knowledge().terminology.concepts("condition", [], text)


def names(concept: str) -> list[str]:
    return [name.replace(" ... ", " ") for name in knowledge().terminology.value_sets[concept].texts]


@pytest.mark.parametrize("word", [*DENIALS, *OTHERS, *FEARS])
def test_a_condition_that_is_denied_of_a_relative_or_screened_for_is_not_read(word: str) -> None:
    wrong = [word + name for concept in PLAIN for name in names(concept) if concept in read(word + name)]
    assert wrong == []


@pytest.mark.parametrize("word", RISKS)
def test_a_condition_that_is_only_feared_is_not_read(word: str) -> None:
    feared = [concept for concept in PLAIN if concept not in RISK_COUNTS]
    wrong = [word + name for concept in feared for name in names(concept) if concept in read(word + name)]
    assert wrong == []


@pytest.mark.parametrize("concept", ALL)
def test_every_name_of_a_condition_is_read_as_it_in_any_case_dash_and_spacing(concept: str) -> None:
    for plain in names(concept):
        for written in (
            plain,
            plain.upper(),
            plain.replace("-", "–"),
            plain.replace("'", "’"),
            plain.replace(" ", "  "),
        ):
            assert concept in read(written), written


# What stands in charts beside the new value sets and must not be taken for them.
NEIGHBOURS = {
    "long-term-anticoagulant-use": [
        "Lupus anticoagulant", "Not on warfarin", "Warfarin stopped", "Anticoagulation contraindicated",
        "Warfarin allergy", "Citrate anticoagulant tube", "未抗凝", "停用华法林", "抗凝治疗禁忌", "On aspirin",
        "Anticoagulation declined",
    ],
    "mechanical-heart-valve": [
        "Mechanical ventilation", "Bioprosthetic aortic valve", "Tissue valve replacement", "TAVI",
        "Porcine mitral valve", "Mechanical back pain", "Aortic valve stenosis", "Valve replacement planned",
        "生物瓣置换术后", "机械通气", "Ileocaecal valve",
    ],
    "clotting-factor-deficiency": [
        "Haemophilus influenzae", "Factor V Leiden", "Protein C deficiency", "Iron deficiency", "流感嗜血杆菌",
        "Rheumatoid factor positive",
    ],
    "thrombocytopenia": [
        "Thrombocytosis", "Pseudothrombocytopenia", "Pseudo-thrombocytopenia", "Neutropenia", "血小板增多",
        "假性血小板减少", "Thrombocythaemia",
    ],
    "pancytopenia": [
        "Neutropenia", "Leucopenia", "Anaemia", "白细胞减少",
    ],
    "subacute-combined-degeneration": [
        "Macular degeneration", "Cervical myelopathy", "Combined immunodeficiency", "Subacute thyroiditis",
        "黄斑变性", "颈椎病",
    ],
    "hereditary-neuropathy": [
        "Idiopathic neuropathy", "Peripheral neuropathy", "Hereditary spherocytosis",
        "Leber hereditary optic neuropathy", "CMT score", "特发性周围神经病",
    ],
    "inflammatory-neuropathy": [
        "Inflammatory bowel disease", "Group B streptococcus", "Peripheral neuropathy", "炎症性肠病",
    ],
    "diabetic-neuropathy": [
        "Diabetic nephropathy", "Diabetic retinopathy", "Diabetes mellitus", "Peripheral neuropathy", "糖尿病肾病",
        "糖尿病",
    ],
    "alcohol-neuropathy": [
        "Alcoholic hepatitis", "Alcohol dependence", "Peripheral neuropathy", "酒精性肝病",
    ],
    "mononeuropathy": [
        "Polyneuropathy", "Ulnar fracture", "Carpal fracture", "Mononucleosis", "多发性神经病", "尺骨骨折",
    ],
    "stroke-sequelae": [
        "Heat stroke", "Stroke prevention", "Stroke volume reduced", "Post-stroke depression", "热射病",
        "卒中后抑郁",
    ],
    "pancreatic-insufficiency": [
        "Acute pancreatitis", "Renal insufficiency", "Adrenal insufficiency", "Pancreas divisum", "急性胰腺炎",
        "肾功能不全",
    ],
    "anorexia-nervosa": [
        "Anorexia", "Loss of appetite", "Bulimia nervosa", "食欲减退", "纳差",
    ],
    "nil-by-mouth": [
        "NPO after midnight", "Nil by mouth before surgery", "Fasting glucose", "Dry mouth", "术前禁食", "空腹血糖",
    ],
    "hypothyroidism": [
        "Hyperthyroidism", "Thyroid nodule", "Hypoparathyroidism", "甲状腺功能亢进", "甲状腺结节",
    ],
    "iron-deficiency": [
        "Iron overload", "Folate deficiency", "Zinc deficiency", "铁过载", "叶酸缺乏",
    ],
    "chronic-kidney-disease-4-to-5": [
        "CKD stage 3", "CKD stage 2", "Acute kidney injury", "CKD 3b", "慢性肾脏病3期", "Kidney transplant",
    ],
    "chemotherapy": [
        "Radiotherapy", "History of chemotherapy", "Chemotherapy declined", "放疗", "化疗史", "Chemical burn",
    ],
    "multiple-myeloma": [
        "Melanoma", "Monoclonal gammopathy of undetermined significance", "黑色素瘤", "Myeloma in remission",
    ],
    "red-cell-transfusion": [
        "Transfusion reaction", "Platelet transfusion", "Plasma transfusion", "Refuses blood transfusion",
        "输血反应", "血小板输注", "Twin-twin transfusion not known",
    ],
    "acute-liver-injury": [
        "Chronic liver disease", "Cirrhosis", "Acute hepatitis A", "Heart failure", "肝硬化", "慢性肝衰竭",
        "Paracetamol 500 mg",
    ],
    "cyanide-poisoning-or-vasoplegia": [
        "Cyanosis", "Carbon monoxide poisoning", "Lead poisoning", "紫绀", "一氧化碳中毒", "Cyanocobalamin",
    ],
    "tobacco-amblyopia": [
        "Amblyopia", "Strabismic amblyopia", "Tobacco use", "弱视", "吸烟",
    ],
    "nitrous-oxide-misuse": [
        "Nitrous oxide for dental sedation", "Nitrous oxide in labour", "Nitric oxide inhalation", "Nitroglycerin",
        "笑气镇痛分娩", "牙科笑气镇静", "Balloon angioplasty", "Nanga Parbat expedition",
    ],
    "leber-optic-neuropathy": [
        "Leber congenital amaurosis", "Leber先天性黑矇", "m.11778G>A not detected", "LHON mutation negative",
        "Optic neuritis",
    ],
    "active-bleeding": [
        "Bleeding resolved", "History of GI bleed", "Risk of bleeding", "No melaena", "无黑便", "消化道出血史",
        "Ulcer without bleeding",
    ],
    "haemolysis": [
        "Haemolysed sample", "Beta-haemolytic streptococcus", "Thalassaemia trait", "Sickle cell trait",
        "溶血性链球菌", "地中海贫血携带者",
    ],
    "clotting-disorder": [
        "Clot in bladder", "Deep vein thrombosis", "Anticoagulant clinic", "深静脉血栓",
    ],
    "total-gastrectomy": [
        "Partial gastrectomy", "Subtotal gastrectomy", "Sleeve gastrectomy", "Gastrostomy", "胃次全切除", "胃造瘘",
        "Gastrectomy planned",
    ],
    "ileal-resection": [
        "Ileostomy", "Ileus", "Colonic resection", "Right hemicolectomy", "回肠造口", "肠梗阻",
    ],
    "vitamin-b12-deficiency": [
        "Vitamin D deficiency", "Vitamin B1 deficiency", "Vitamin B6 deficiency", "Folate deficiency",
        "维生素D缺乏", "维生素B1缺乏",
    ],
    "hypersensitivity": [
        "No known drug allergies", "Allergy testing not done: no allergy", "无过敏史", "Hypertension", "否认过敏",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("concept", "text"), [(c, text) for c, texts in NEIGHBOURS.items() for text in texts])
def test_what_only_looks_like_a_condition_is_not_read_as_it(concept: str, text: str) -> None:
    assert concept not in read(text)


# Spellings that charts use.
SPELLINGS = {
    "long-term-anticoagulant-use": [
        "Long term (current) use of anticoagulants", "On Warfarin for AF", "Anticoagulated", "长期抗凝治疗",
        "口服华法林抗凝",
    ],
    "mechanical-heart-valve": [
        "Mechanical mitral valve replacement 2010", "Mechanical AVR", "Bjork–Shiley valve", "机械瓣置换术后",
        "主动脉瓣机械瓣置换",
    ],
    "prosthetic-heart-valve": [
        "Prosthetic heart valve", "Aortic valve replacement", "St Jude mechanical valve", "二尖瓣置换术后",
    ],
    "nitrous-oxide-misuse": [
        "Uses nangs daily", "Whip-its", "whippets", "balloons (nitrous oxide) every weekend", "有笑气吸食史",
        "笑气中毒", "History of nitrous oxide use", "N2O misuse", "Laughing gas",
    ],
    "leber-optic-neuropathy": [
        "LHON carrier", "m.11778G>A carrier", "Leber hereditary optic neuropathy carrier", "m.3460G>A",
        "m.14484T>C", "Leber遗传性视神经病变携带者",
    ],
    "subacute-combined-degeneration": [
        "Subacute combined degeneration of spinal cord", "Funicular myelosis", "Combined system disease",
        "脊髓亚急性联合变性",
    ],
    "hereditary-neuropathy": [
        "Charcot–Marie–Tooth disease type 1A", "CMT1A", "HMSN type II", "腓骨肌萎缩症",
    ],
    "diabetic-neuropathy": [
        "Type 2 diabetes mellitus with diabetic polyneuropathy", "Diabetic peripheral neuropathy",
        "2型糖尿病性周围神经病变",
    ],
    "stroke-sequelae": [
        "Ataxia following cerebral infarction", "Post-stroke hemiparesis", "脑梗死后遗症",
    ],
    "active-bleeding": [
        "Melaena", "Upper GI bleed", "Haematemesis", "上消化道大出血", "黑便",
    ],
    "red-cell-transfusion": [
        "Transfusion of packed red blood cells", "输注悬浮红细胞2U", "PRBC x2",
    ],
    "acute-liver-injury": [
        "Ischaemic hepatitis", "Shock liver", "Acetaminophen overdose", "急性肝衰竭",
    ],
    "tobacco-amblyopia": [
        "Tobacco amblyopia", "Tobacco–alcohol amblyopia", "烟草中毒性弱视",
    ],
    "clotting-factor-deficiency": [
        "Haemophilia A", "von Willebrand’s disease", "Factor VII deficiency", "血友病A",
    ],
    "haemolysis": [
        "Autoimmune haemolytic anaemia", "G6PD deficiency", "Hereditary spherocytosis", "β-地中海贫血",
        "Sickle cell disease",
    ],
    "leber-in-family": [
        "Family history of LHON", "Family history of Leber's hereditary optic neuropathy", "LHON家族史",
    ],
    "clotting-disorder": [
        "Lupus anticoagulant positive", "Lupus anticoagulant", "狼疮抗凝物阳性",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("concept", "text"), [(c, text) for c, texts in SPELLINGS.items() for text in texts])
def test_a_condition_is_read_in_the_spellings_that_charts_use(concept: str, text: str) -> None:
    assert concept in read(text)
