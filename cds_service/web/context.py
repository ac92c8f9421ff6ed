"""What the parts of one application share, and the function types by which they are connected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.hooks.messages import CallContext, HookRequest
from cds_service.languages import Language
from cds_service.security.callers import Callers
from cds_service.settings import Settings
from cds_service.web.runtime import Runtime

# Service id, request and circumstances to the response; raises a RequestError if it cannot answer.
Answer = Callable[[str, HookRequest, CallContext], dict[str, Any]]
# The discovery response in a language, with or without versions.
Discover = Callable[[Language, bool], dict[str, Any]]


class Service(Protocol):
    """The members of a service that the routes read."""

    @property
    def id(self) -> str: ...
    @property
    def hook(self) -> str: ...


class Knowledge(Protocol):
    """The members of the knowledge that the routes read."""

    @property
    def version(self) -> str: ...
    @property
    def services(self) -> Mapping[str, Service]: ...


@dataclass(frozen=True, slots=True)
class Served:
    """What an application serves: knowledge, and the functions made from it."""

    knowledge: Knowledge
    answer: Answer
    discovery: Discover

    @property
    def knowledge_base(self) -> KnowledgeBase | None:
        """The shipped kind of knowledge, which has pages; None for a stand-in."""
        return self.knowledge if isinstance(self.knowledge, KnowledgeBase) else None


@dataclass(frozen=True, slots=True)
class AppContext:
    """What every part of one application is built from. Immutable: a reload makes a new one on the same runtime."""

    settings: Settings
    served: Served
    callers: Callers
    runtime: Runtime

    def now(self) -> datetime:
        """The present in the site's time zone, else in the machine's."""
        return datetime.now(self.settings.zone) if self.settings.zone else datetime.now(UTC).astimezone()
