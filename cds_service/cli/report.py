"""`cds report`: the usage report on cards, on the terminal, as CSV or as one HTML file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import click

from cds_service.artifacts.load import knowledge_dir, load_knowledge
from cds_service.artifacts.review_limits import read_review_limits
from cds_service.languages import LANGUAGES, Language
from cds_service.present.report.report import Names, make_report
from cds_service.present.report.report_page import as_html
from cds_service.present.report.report_text import as_csv, as_text
from cds_service.settings import load_settings
from cds_service.store.database import Database
from cds_service.store.report_query import Selection


@click.command("report")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day.  [the beginning]")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day.  [today]")
@click.option("--service", help="Only calls of this service.")
@click.option("--rule", help="Only cards of this rule.")
@click.option("--site", help="Only calls under the overlay in a folder of this name.")
@click.option("--format", "form", type=click.Choice(["terminal", "html", "csv"]), default="terminal", show_default=True)
@click.option("--language", type=click.Choice(list(LANGUAGES)), help="Language of the report.  [CDS_LANGUAGE, else en]")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [standard output]")
@click.option(
    "--comments", is_flag=True, help="Also print users' comments. They may name patients: keep them confidential."
)
def report_command(
    first: datetime | None,
    last: datetime | None,
    service: str | None,
    rule: str | None,
    site: str | None,
    form: str,
    language: Language | None,
    output: Path | None,
    comments: bool,
) -> None:
    """Reports on the cards: shown, accepted, overridden and why, unanswered; and which rules to review.

    Reads the database of CDS_DATABASE_URL, which may be in use. docs/report.md defines the figures.
    """
    if comments and (form != "terminal" or output is not None):
        raise click.UsageError("--comments are for the terminal only: what users write may name patients.")
    settings = load_settings()
    selection = Selection(_day(first), _day(last), settings.zone, service, rule, site)
    knowledge = load_knowledge(site=settings.site)
    made = datetime.now(UTC).astimezone(settings.zone)
    database = Database(settings.database_url)
    try:
        limits = read_review_limits(knowledge_dir())
        report = make_report(database, limits, selection, made, no_timeout=True, comments=comments)
    finally:
        database.close()
    names = Names(knowledge, language or settings.language)
    match form:
        case "csv":
            text = as_csv(report)
        case "html":
            text = as_html(report, names)
        case _:
            text = as_text(report, names, with_comments=comments) + "\n"
    if output is None:
        click.echo(text.encode(), nl=False)
    else:
        output.write_bytes(text.encode())
        click.echo(f"{output}: {report.calls.number} calls, {report.total.shown} cards")


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
