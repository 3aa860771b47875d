"""The frame of all pages: templates by jinja2, sections of charts, and images within the page."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ganray.config.describe import short
from ganray.runs.trials import trial_name


@dataclass(frozen=True)
class ChartSection:
    """A section of the page that holds plotly figures; where one has less than `min_width` pixels, it scrolls sideways."""

    title: str
    caption: str
    figures: list[go.Figure] = field(default_factory=list)
    min_width: int = 0

    @property
    def anchor(self) -> str:
        """The section's id."""
        return self.title.lower().replace(" ", "-")

    @property
    def json(self) -> list[Any]:
        """The figures as plotly.js takes them: numbers that are not finite as null."""
        return [json.loads(figure.to_json()) for figure in self.figures]


def render_page(template: str, sections: Iterable[ChartSection], values: Mapping[str, Any]) -> str:
    """Return a page by its template; sections without a figure are left out, and plotly.js where there is none."""
    shown = [section for section in sections if section.figures]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganray.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": short, "trial_name": trial_name}
    return environment.get_template(template).render(sections=shown, plotly_js=get_plotlyjs() if shown else "", **values)


def data_uri(data: bytes, kind: str = "png") -> str:
    """Return an image file's bytes as what an `img` takes."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
