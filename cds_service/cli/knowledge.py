"""Commands for authors and reviewers of knowledge: `cds check`, `evaluate`, `explain`, `export` and others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import click

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import knowledge_dir, load_knowledge
from cds_service.artifacts.review.check import check as check_knowledge
from cds_service.artifacts.review.check import cited
from cds_service.artifacts.worked_patients import read_worked
from cds_service.errors import BadRequest
from cds_service.evaluate import Evaluation, Evaluator
from cds_service.fhir.bundle import Entry, ListResult, open_resource
from cds_service.fhir.read.gather import BundleSource, gather
from cds_service.fhir.read.record import read_record
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.cards.card_maker import CardContext, CardMaker
from cds_service.hooks.cards.client_capabilities import ClientCapabilities
from cds_service.languages import FALLBACK, LANGUAGES, Language
from cds_service.present.catalogue.catalogue import Catalogue
from cds_service.present.catalogue.markdown import write
from cds_service.record import PatientRecord
from cds_service.rules.explain import as_lines
from cds_service.rules.explain import explain as explain_decisions
from cds_service.sandbox.patients import patient_resources
from cds_service.sandbox.upload import upload
from cds_service.security.client_file import load_profiles
from cds_service.settings import load_settings
from cds_service.store.database import Database
from cds_service.store.purge import purge

HOOKS = ("patient-view", "order-select", "order-sign", "encounter-start", "encounter-discharge")


# What the tables hold, for messages.
_KEPT = {
    "hook_call": "calls",
    "card": "cards",
    "suggestion": "suggestions",
    "feedback_event": "feedback",
    "replay_token": "used tokens",
}

_site_option = click.option(
    "--site",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A site's overlay folder to apply to the knowledge.",
)


@click.command("check")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@_site_option
@click.option("--quiet", is_flag=True, help="Errors only.")
@click.option(
    "--clients", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Review this client file instead."
)
def check_command(folder: Path | None, site: Path | None, quiet: bool, clients: Path | None) -> None:
    """Checks a knowledge folder: prints errors as file:line: what, why, do this. Exit code 1 if there is an error."""
    if clients is not None:
        for profile in load_profiles(clients, sandbox=load_settings().sandbox):
            click.echo(f"{profile.name}: {', '.join(profile.issuers) or 'every caller in open mode'}")
        return
    today = datetime.now().astimezone().date()
    knowledge, findings = check_knowledge(folder or knowledge_dir(), today, site)
    for finding in findings:
        if finding.level == "error" or not quiet:
            click.echo(str(finding))
    errors = sum(finding.level == "error" for finding in findings)
    if knowledge is not None:
        click.echo(
            f"knowledge {knowledge.version}: {len(knowledge.rules)} rules, {len(knowledge.facts)} facts, "
            f"{len(knowledge.thresholds)} thresholds, {len(knowledge.value_sets)} value sets, "
            f"{len(knowledge.statements)} statements, "
            f"{len(cited(knowledge) & knowledge.statements.keys())} of them cited; "
            f"{errors} errors, {len(findings) - errors} warnings"
        )
    if errors:
        raise SystemExit(1)


def _bundle_options(command: Any) -> Any:
    for option in (
        click.option(
            "--hook", type=click.Choice(HOOKS), default="patient-view", show_default=True, help="What is happening."
        ),
        click.option(
            "--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day as of which the record is evaluated.  [today]"
        ),
        click.option("--rule", "rules", multiple=True, help="Only these rules."),
        _site_option,
        click.argument("bundle", type=click.File("rb")),
    ):
        command = option(command)
    return command


@click.command("evaluate")
@_bundle_options
@click.option("--language", type=click.Choice(list(LANGUAGES)), default=FALLBACK, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Cards as JSON, as an EHR receives them.")
def evaluate_command(
    bundle: Any,
    hook: str,
    as_of: datetime | None,
    rules: tuple[str, ...],
    site: Path | None,
    language: Language,
    as_json: bool,
) -> None:
    """Prints the cards for a FHIR Bundle file with one Patient and their resources ("-" reads standard input).

    With an order hook, the draft orders in the Bundle are evaluated.
    """
    run = _Run.of(bundle.read(), hook, as_of, rules, site)
    draft_context = DraftContext(f"Patient/{run.record.patient.id}", run.as_of.isoformat(timespec="seconds"), "")
    new_id = partial(next, map(str, count(1)))
    context = CardContext(run.evaluation.facts, draft_context, ClientCapabilities(language), new_id)
    cards = CardMaker(run.knowledge).cards(run.evaluation.firing, context).cards
    if as_json:
        click.echo(json.dumps(cards, ensure_ascii=False, indent=2))
        return
    for card in cards:
        click.echo("\n".join(_card_lines(card)) + "\n")
    if counted := [decision.rule.id for decision in run.evaluation.counted]:
        click.echo(f"counted, not shown: {', '.join(counted)}")
    click.echo(f"{len(cards)} cards; knowledge {run.knowledge.version}; as of {run.as_of.date()}")


@click.command("explain")
@_bundle_options
@click.option("--json", "as_json", is_flag=True, help="As JSON, as in the response's extension.")
def explain_command(
    bundle: Any, hook: str, as_of: datetime | None, rules: tuple[str, ...], site: Path | None, as_json: bool
) -> None:
    """Shows for a FHIR Bundle file, clause by clause, why each rule fires, does not fire or is undecided."""
    run = _Run.of(bundle.read(), hook, as_of, rules, site)
    nodes = explain_decisions(run.knowledge, run.evaluation.facts, run.evaluation.decisions)
    if as_json:
        click.echo(json.dumps(nodes, ensure_ascii=False, indent=2))
        return
    for line in as_lines(nodes):
        click.echo(line)


@click.group("export")
def export_commands() -> None:
    """Exports the knowledge for people and programs that do not call the service."""


@export_commands.command("catalogue")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def catalogue_command(folder: Path) -> None:
    """Writes every rule with its evidence as Markdown: FOLDER in English, FOLDER/zh in Chinese."""
    root = knowledge_dir()
    written = write(Catalogue(load_knowledge(root), root), folder.resolve())
    click.echo(f"{len(written)} pages in {folder}")


@click.command("sample")
@click.argument("patient", required=False)
def sample_command(patient: str | None) -> None:
    """Prints an invented patient as a FHIR Bundle for `cds evaluate -` or `cds explain -`; without a name, lists them.

    The sample patients of the sandbox are dated as of today, the worked patients of the rules as of their own day.
    """
    root = knowledge_dir()
    paths = [root / "sandbox" / "patients.yaml", *sorted(root.glob("*/*.examples.yaml"))]
    everybody = {worked.id: (worked, path) for path in paths for worked in read_worked(path, root)}
    if patient is None:
        for worked, path in everybody.values():
            day = "" if path.parent.name == "sandbox" else f" --as-of {worked.as_of}"
            click.echo(f"{worked.id}  --hook {worked.hook}{day}  {worked.name.en}")
        return
    if patient not in everybody:
        raise BadRequest(f"There is no sample patient {patient}. `cds sample` lists them.")
    worked, path = everybody[patient]
    now = datetime.now().astimezone() if path.parent.name == "sandbox" else None
    resources = patient_resources(worked, load_knowledge(root).terminology, now)
    drafts = (resources.drafts or {}).get("entry", [])
    entries = [*({"resource": resource} for resource in resources.all), *drafts]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    click.echo(json.dumps(bundle, ensure_ascii=False, indent=2))


@click.command("load-samples")
@click.argument("url")
@click.option("--test-server", is_flag=True, help="Confirm that this is a test server without real patients.")
@click.option(
    "--wait", type=click.FloatRange(0, 600), default=0, help="Seconds to wait for a server that is still starting."
)
def load_samples_command(url: str, test_server: bool, wait: float) -> None:
    """Writes the sandbox's invented patients, dated as of today, to the FHIR R4 server with the base URL URL.

    Resources of an earlier load are replaced; other patients are not touched.
    """
    if not test_server:
        raise click.UsageError("Nothing was written. Repeat with --test-server if no real patients are on this server.")
    settings = load_settings()
    root = knowledge_dir()
    terminology = load_knowledge(root).terminology
    now = datetime.now(settings.zone).astimezone(settings.zone)
    patients = [
        patient_resources(worked, terminology, now) for worked in read_worked(root / "sandbox" / "patients.yaml", root)
    ]
    written = upload(url, patients, wait=wait, ca_file=settings.ca_file)
    click.echo(f"{len(patients)} patients, {written} resources")


@click.command("purge")
@click.option(
    "--older-than", type=click.IntRange(0), metavar="DAYS", help="Days to keep.  [CDS_RETENTION_DAYS, else 400]"
)
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
def purge_command(older_than: int | None, dry_run: bool) -> None:
    """Removes old calls with their cards and suggestions, old feedback, and used tokens that have expired.

    May run while the service does. Run it daily, as the user that runs the service.
    """
    settings = load_settings()
    days = settings.retention_days if older_than is None else older_than
    database = Database(settings.database_url)
    try:
        counts = purge(database, datetime.now(UTC) - timedelta(days=days), dry_run=dry_run)
    finally:
        database.close()
    told = ", ".join(f"{number} {_KEPT[table.name]}" for table, number in counts.items())
    click.echo(f"{'would remove' if dry_run else 'removed'}, older than {days} days: {told}")


@dataclass(frozen=True, slots=True)
class _Run:
    """The evaluation of one Bundle: knowledge, record and decisions."""

    knowledge: KnowledgeBase
    record: PatientRecord
    evaluation: Evaluation
    as_of: datetime

    @classmethod
    def of(cls, content: bytes, hook: str, day: datetime | None, rules: Iterable[str], site: Path | None) -> _Run:
        knowledge = load_knowledge(site=site)
        chosen = list(rules) or [rule.id for rule in knowledge.rules.values() if hook in rule.hooks]
        if unknown := [rule for rule in chosen if rule not in knowledge.rules]:
            raise BadRequest(f"There is no rule {unknown[0]}. `cds check` lists the rules' files.")
        now = datetime.now().astimezone()
        as_of = now if day is None else datetime.combine(day.date(), time(23, 59, 59), now.tzinfo)
        record = _record(content, hook, knowledge)
        evaluation = Evaluator(knowledge).evaluate(record, as_of, chosen, frozenset(chosen) if rules else frozenset())
        return cls(knowledge, record, evaluation, as_of)


def _record(content: bytes, hook: str, knowledge: KnowledgeBase) -> PatientRecord:
    """The record of the one Patient in a Bundle; every list counts as read, because the file is the whole record."""
    opened = open_resource(content)
    if opened.resource_type != "Bundle":
        raise BadRequest("The file is not a FHIR Bundle in JSON. Save the Patient and the resources as one Bundle.")
    kept: list[Entry] = []
    drafts: list[Any] = []
    patients: list[str] = []
    for entry in opened.entries:
        resource = json.loads(bytes(entry.resource))
        kind = resource.get("resourceType", "")
        if kind == "Patient":
            patients.append(str(resource.get("id", "")))
        if hook.startswith("order-") and resource.get("status") == "draft":
            drafts.append({"resource": resource})
            continue
        kept.append(entry)
    if len(patients) != 1:
        raise BadRequest(f"The Bundle holds {len(patients)} Patients. It must hold exactly one.")
    bundle = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": drafts}).encode()
    orders = bundle if hook.startswith("order-") else None

    def read(obtained: Sequence[ListResult]) -> PatientRecord:
        return read_record(patients[0], obtained, knowledge.terminology, knowledge.units, drafts=orders)

    return gather(BundleSource(kept), read).record


def _card_lines(card: dict[str, Any]) -> Iterable[str]:
    yield f"[{card['indicator'].upper()}] {card['summary']}"
    yield from (f"    {line}" for line in card["detail"].split("\n") if line)
    for suggestion in card.get("suggestions", ()):
        mark = "*" if suggestion.get("isRecommended") else "-"
        yield f"  {mark} {suggestion['actions'][0]['description']}"
    yield f"    source: {card['source']['label']}"
