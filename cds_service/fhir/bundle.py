"""FHIR JSON bytes to the single resources in it: a Bundle is opened entry by entry, nothing is decoded twice."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from cds_service.gaps import Gaps
from cds_service.record import Source

# What decoding raises: the wrong shape, no JSON, brackets nested too deep to follow, or text that is not UTF-8.
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
# Of one Bundle, and of a whole prefetch. A long chart has some thousands; what is beyond is no patient's record.
MAX_ENTRIES = 20_000


class Entry(msgspec.Struct):
    """One resource of a Bundle, still as bytes, with the address the Bundle gave it; "" as type: not looked at yet."""

    resource: msgspec.Raw
    full_url: str = ""
    resource_type: str = ""

    def __repr__(self) -> str:
        # The address may hold a patient's id.
        return "<Entry>"


class ParsedResource(msgspec.Struct):
    """What was in the JSON.

    Attributes:
        resource_type: "Bundle", "Patient", "OperationOutcome" ...; "" if the JSON is no FHIR resource.
        entries: the resources: all entries of a Bundle (without informational OperationOutcomes), or the one resource.
        next_url: where the next page is, if the Bundle is not the last page.
        total: the Bundle's own count, if it states one.
        bundle_type: the Bundle's own word for what it is, e.g. "searchset".
        outcome: issue codes of an OperationOutcome of severity error or fatal, e.g. "forbidden"; None if there is none.
        unreadable: entries that hold no readable resource.
        too_many: the Bundle has more than `MAX_ENTRIES` entries, of which none was opened.
    """

    resource_type: str = ""
    entries: list[Entry] = msgspec.field(default_factory=list)
    next_url: str | None = None
    total: int | None = None
    bundle_type: str | None = None
    outcome: str | None = None
    unreadable: int = 0
    too_many: bool = False


class ListResult(msgspec.Struct, frozen=True):
    """What was obtained for one prefetch key, from the request or from the FHIR server.

    Attributes:
        sources: the lists of the record that this key speaks for; empty for the Patient.
        entries: the resources; empty when the list was read and holds nothing.
        unread: why nothing could be read; empty if it was read.
        incomplete: why a part is missing (a page that could not be fetched); empty if it is whole.
    """

    sources: tuple[Source, ...]
    entries: Sequence[Entry] = ()
    unread: Gaps = ()
    incomplete: Gaps = ()


class _Link(msgspec.Struct):
    relation: str | None = None
    url: str | None = None


class _Search(msgspec.Struct):
    mode: str | None = None


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    full_url: str | None = msgspec.field(default=None, name="fullUrl")
    search: _Search | None = None


class _Shell(msgspec.Struct):
    """A Bundle whose entries are all sound, decoded in one pass."""

    entry: list[_Entry] | None = None
    link: list[_Link] | None = None
    total: int | None = None
    type: str | None = None


class _LooseShell(msgspec.Struct):
    """A Bundle with an odd entry, which is found when they are decoded one by one."""

    entry: list[msgspec.Raw] | None = None
    link: list[_Link] | None = None
    total: int | None = None
    type: str | None = None


class _Type(msgspec.Struct):
    resource_type: str = msgspec.field(default="", name="resourceType")


class _Issue(msgspec.Struct):
    severity: str | None = None
    code: str | None = None


class _Outcome(msgspec.Struct):
    issue: list[_Issue] | None = None


_shell = msgspec.json.Decoder(_Shell)
_loose_shell = msgspec.json.Decoder(_LooseShell)
_entry = msgspec.json.Decoder(_Entry)
_type = msgspec.json.Decoder(_Type)
_outcome = msgspec.json.Decoder(_Outcome)


# Most writers put resourceType first; looking there saves a pass over the whole resource.
_FIRST_MEMBER = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]{1,64})"\s*[,}]')


def resource_type(raw: bytes | msgspec.Raw) -> str:
    """The `resourceType` of a resource; "" if it has none or is not a JSON object."""
    if first := _FIRST_MEMBER.match(raw):
        return first[1].decode("ascii")
    try:
        return _type.decode(raw).resource_type
    except UNREADABLE:
        return ""


def open_resource(raw: bytes | msgspec.Raw) -> ParsedResource:
    """Opens one FHIR resource: a Bundle entry by entry, anything else as itself. Never raises on bad content.

    An OperationOutcome entry of severity information or warning (Epic's "no results", `search.mode` outcome) is
    dropped; one of severity error or fatal is reported in `outcome`.
    """
    kind = resource_type(raw)
    opened = ParsedResource(resource_type=kind)
    if kind == "OperationOutcome":
        opened.outcome = _failure(raw) or "informational"
        return opened
    if kind != "Bundle":
        # Unlike the entries of a Bundle, nobody has looked yet whether this is JSON to its end.
        if not _is_json(raw):
            return ParsedResource()
        if kind:
            opened.entries.append(Entry(msgspec.Raw(raw), "", kind))
        return opened
    try:
        shell: _Shell | _LooseShell = _shell.decode(raw)
    except UNREADABLE:
        try:
            shell = _loose_shell.decode(raw)
        except UNREADABLE:
            return _open_odd_bundle(raw, opened)
    opened.total, opened.bundle_type = shell.total, shell.type
    if shell.link:
        opened.next_url = next((link.url for link in shell.link if link.relation == "next" and link.url), None)
    _add_all(opened, shell.entry or ())
    return opened


def _is_json(raw: bytes | msgspec.Raw) -> bool:
    try:
        _type.decode(raw)
    except UNREADABLE:
        return False
    return True


def _open_odd_bundle(raw: bytes | msgspec.Raw, opened: ParsedResource) -> ParsedResource:
    """A Bundle of which some member has an odd shape: the entries are saved if they can be."""
    if not _is_json(raw):
        return ParsedResource()
    try:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        items = msgspec.json.decode(members.get("entry", b"[]"), type=list[msgspec.Raw] | None) or []
    except UNREADABLE:
        opened.unreadable += 1
        return opened
    opened.unreadable += 1  # a link or a total that could not be read may hide a further page
    _add_all(opened, items)
    return opened


def _add_all(opened: ParsedResource, items: Sequence[_Entry | msgspec.Raw]) -> None:
    if len(items) > MAX_ENTRIES:
        opened.too_many = True
        return
    for item in items:
        _add(opened, item)


def _add(opened: ParsedResource, item: _Entry | msgspec.Raw) -> None:
    try:
        entry = item if isinstance(item, _Entry) else _entry.decode(item)
    except UNREADABLE:
        opened.unreadable += 1
        return
    kind = resource_type(entry.resource)
    if not kind:
        opened.unreadable += 1
        return
    if kind == "OperationOutcome":
        opened.outcome = opened.outcome or _failure(entry.resource)
        return
    opened.entries.append(Entry(entry.resource, entry.full_url or "", kind))


def _failure(raw: bytes | msgspec.Raw) -> str | None:
    """Issue codes of severity error or fatal; None if the outcome only informs or warns."""
    try:
        issues = _outcome.decode(raw).issue or []
    except UNREADABLE:
        return "unreadable"
    codes = [issue.code or "exception" for issue in issues if issue.severity in ("error", "fatal")]
    return ", ".join(codes) or None
