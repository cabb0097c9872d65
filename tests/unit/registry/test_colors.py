"""The ten colours of runs are told apart, in both themes, by full sight and by each kind of colour blindness."""

from __future__ import annotations

import re

import pytest
from coloraide import Color

from tests.working_tree import ROOT

CSS = (ROOT / "wandb_registry/web/static/registry.css").read_text()
ROLE = re.compile(r"--([\w-]+): (?:light-dark\((#\w+), (#\w+)\)|var\(--([\w-]+)\));")
ROLES = {name: (light, dark) if light else same for name, light, dark, same in ROLE.findall(CSS)}
LEAST = 9  # ΔE00, CIE's difference of colours of 2000
LEAST_CONTRAST = 3  # WCAG 2.2, 1.4.11: graphics that tell something


def color(role: str, theme: int) -> Color:
    value = ROLES[role]
    return color(value, theme) if isinstance(value, str) else Color(value[theme])


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("model", ["brettel", "machado"])  # of how colour-blind people see, of 1997 and of 2009
@pytest.mark.parametrize("sight", ["full", "protan", "deutan", "tritan"])
def test_any_two_colours_of_runs_differ(theme: int, sight: str, model: str):
    shown = [color(f"series-{number}", theme) for number in range(1, 11)]
    seen = shown if sight == "full" else [one.filter(sight, method=model) for one in shown]
    pairs = [(one, other) for at, one in enumerate(seen) for other in seen[:at]]
    assert min(one.delta_e(other, method="2000") for one, other in pairs) >= LEAST


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_a_line_stands_out_from_its_panel(theme: int):
    panel = color("surface", theme)
    assert min(color(f"series-{number}", theme).contrast(panel) for number in range(1, 11)) >= LEAST_CONTRAST
