"""`cds export catalogue`: writes the pages, takes away its own that are no more, and leaves the files of others."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from cds_service.cli.main import main
from cds_service.present.catalogue.markdown import MARK
from tests.support.kb import knowledge


def export(folder: Path) -> Result:
    return CliRunner().invoke(main, ["export", "catalogue", str(folder)])


def test_every_rule_is_written_in_both_languages(tmp_path: Path) -> None:
    done = export(tmp_path / "new" / "folder")
    assert done.exit_code == 0, done.output
    written = {path.relative_to(tmp_path / "new/folder").as_posix() for path in tmp_path.rglob("*.md")}
    names = {"README", "thresholds", "sources", "statements", "value-sets", "sign-off", *knowledge().rules}
    assert written == {f"{name}.md" for name in names} | {f"zh/{name}.md" for name in names}
    assert done.output == f"{len(written)} pages in {tmp_path / 'new' / 'folder'}\n"


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    export(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.md")}
    export(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.md")} == before


def test_the_page_of_a_rule_that_is_no_more_goes_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "zh").mkdir()
    for name in ("gone.md", "zh/gone.md"):
        (tmp_path / name).write_text(f"{MARK}\n\n# Gone\n", encoding="utf-8")
    (tmp_path / "mine.md").write_text("# Written by hand\n", encoding="utf-8")
    export(tmp_path)
    assert not (tmp_path / "gone.md").exists()
    assert not (tmp_path / "zh" / "gone.md").exists()
    assert (tmp_path / "mine.md").read_text(encoding="utf-8") == "# Written by hand\n"


def test_code_tables_are_linked_from_where_the_pages_stand(tmp_path: Path) -> None:
    export(tmp_path)
    for name, folder in (("value-sets.md", tmp_path), ("zh/value-sets.md", tmp_path / "zh")):
        text = (tmp_path / name).read_text(encoding="utf-8")
        target = next(part.partition(")")[0] for part in text.split("](") if part.partition(")")[0].endswith("inr.csv"))
        assert (folder / target).resolve().is_file()


def test_a_file_where_the_folder_should_be_is_a_wrong_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert export(tmp_path / "file").exit_code == 2
