"""The texts of the chart, and why a result has no value."""

from __future__ import annotations

from cds_service.texts import Texts

chart_say = Texts("chart").get
reason_say = Texts("reasons").get
