"""Logs what a library draws: figures that would like to run scripts, points and boxes, a mesh, a molecule.

Run by test_sandbox.py with the figure of Bokeh and another host's address. Plotly and Bokeh aren't installed: their
place is taken by a figure's JSON as they write it.
"""

# Written as people write it, without types:
# pyright: reportAttributeAccessIssue=false

import base64
import json
import sys
import types
from pathlib import Path

import numpy as np
import wandb
from wandb.sdk.data_types.bokeh import Bokeh

BOKEH, THERE = sys.argv[1:]
RUN = "document.body.dataset.ran = 'yes'"
WATER = (
    "HETATM    1  O   HOH A   1       0.000   0.000   0.117  1.00  0.00           O\n"
    "HETATM    2  H1  HOH A   1       0.000   0.757  -0.467  1.00  0.00           H\n"
    "HETATM    3  H2  HOH A   1       0.000  -0.757  -0.467  1.00  0.00           H\nEND\n"
)


class Figure:
    """A figure of Plotly's, as the SDK sees one."""

    def __init__(self, *traces: dict):
        self.traces = traces

    def to_plotly_json(self) -> dict:
        title = f'<script>{RUN}</script><img src=x onerror="{RUN}"><a href="javascript:{RUN}">Curve</a>'
        image = {"source": f"{THERE}/plotly", "x": 0, "y": 1, "sizex": 1, "sizey": 1}
        return {"data": list(self.traces), "layout": {"title": {"text": title}, "images": [image]}}


Figure.__module__ = "plotly.graph_objs"


def gltf() -> str:
    """A triangle, whose corners are in the file itself."""
    corners = base64.b64encode(np.array([0, 0, 0, 1, 0, 0, 0, 1, 0], dtype="float32").tobytes()).decode()
    accessor = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
    buffers = [{"byteLength": 36, "uri": f"data:application/octet-stream;base64,{corners}"}]
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}}]}]
    scene = {"scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}], "meshes": meshes, "accessors": [accessor]}
    views = [{"buffer": 0, "byteLength": 36}]
    return json.dumps({"asset": {"version": "2.0"}, **scene, "bufferViews": views, "buffers": buffers})


def babylon() -> str:
    """Two triangles, one of them within the other's space."""
    shape = {"positions": [0, 0, 0, 1, 0, 0, 0, 1, 0], "indices": [0, 1, 2]}
    child = {"id": "b", "parentId": "a", "geometryId": "shape", "position": [0, 0, 2], "rotation": [0, 1, 0]}
    texture = {"diffuseTexture": {"name": f"{THERE}/texture"}}
    return json.dumps(
        {
            "meshes": [{"id": "a", "materialId": "red", **shape}, child],
            "materials": [{"id": "red", "diffuse": [1, 0, 0], **texture}],
            "geometries": {"vertexData": [{"id": "shape", **shape}]},
        }
    )


def specify_charts() -> None:
    """Charts in Vega-Lite and Vega, with what would like to run or to load in them."""
    lite = "https://vega.github.io/schema/vega-lite/v6.json"
    x, y = ({"field": f"${{field:{role}}}", "type": "quantitative"} for role in "xy")
    wish = {"field": "${field:y}", "type": "quantitative", "axis": {"labelExpr": f"(function(){{{RUN}}})()"}}
    height = {"data": "table", "field": "v"}
    vega = {
        "$schema": "https://vega.github.io/schema/vega/v6.json",
        "width": 200, "height": 100,
        "title": "${string:title}",
        "data": [
            {"name": "wandb", "transform": [{"type": "formula", "as": "v", "expr": "datum['${field:y}'] * 2"}]},
            {"name": "table", "source": "wandb"},
            {"name": "elsewhere", "url": f"{THERE}/vega"},
        ],
        "scales": [{"name": "up", "range": "height", "domain": height}],
        "marks": [
            {"type": "symbol", "from": {"data": "table"},
             "encode": {"enter": {"y": {"scale": "up", "field": "v"}, "x": {"value": 50}, "fill": {"value": "teal"}}}},
            {"type": "image", "encode": {"enter": {"url": {"value": f"{THERE}/picture"}}}},
        ],
    }  # fmt: skip
    charts = {
        "bars": {"$schema": lite, "data": {"name": "wandb"}, "mark": "bar", "encoding": {"x": x, "y": y}},
        "scripted": {"$schema": lite, "mark": "bar", "encoding": {"x": x, "y": wish}},
        "dots": vega,
    }
    for name, spec in charts.items():
        made = wandb.Api().create_custom_chart("local", name, name, "vega2", "private", spec)
        assert made == f"local/{name}", made


def fill() -> None:
    specify_charts()
    table = wandb.Table(columns=["by.step", "it's"], data=[[1, 2.5], [2, float("nan")], [3, 4]])
    fields = {"x": "by.step", "y": "it's"}
    module = types.ModuleType("bokeh")
    module.document = types.SimpleNamespace(Document=types.SimpleNamespace(from_json=lambda value: value))
    sys.modules["bokeh"] = module
    files = {
        "t.gltf": gltf(),
        "t.babylon": babylon(),
        "water.pdb": WATER,
        "own.bokeh.json": Path(BOKEH).read_text().replace("THERE", THERE),
    }
    for name, text in files.items():
        Path(name).write_text(text)
    box = wandb.box3d(center=(0, 0, 0), size=(2, 3, 4), orientation=(1, 0.2, 0, 0.1), color=(255, 0, 0), label="car")
    with wandb.init(project="sandbox", id="drawn") as run:
        run.log(
            {
                "curve": Figure({"type": "scatter", "y": [1, None, 3]}, {"type": "scattergeo", "lon": [1], "lat": [1]}),
                "space": wandb.Plotly(Figure({"type": "scatter3d", "x": [1, 2], "y": [1, 2], "z": [1, 2]})),
                "bokeh": Bokeh("own.bokeh.json"),
                "cloud": wandb.Object3D.from_point_cloud(points=[(4, 0, 0), (0, 4, 0), (0, 0, 4)], boxes=[box]),
                "points": [wandb.Object3D(np.eye(4)), wandb.Object3D(np.eye(6) * 255)],
                "mesh": wandb.Object3D("t.gltf"),
                "scene": wandb.Object3D("t.babylon"),
                "water": wandb.Molecule("water.pdb", caption="H2O"),
                "own bars": wandb.plot_table("local/bars", table, fields, {"title": "Bars of my own"}),
                "own dots": wandb.plot_table("local/dots", table, fields, {"title": "Dots"}, split_table=True),
                "own script": wandb.plot_table("local/scripted", table, fields),
                "own lack": wandb.plot_table("local/bars", table, {"x": "by.step"}),
                "not there": wandb.plot_table("someone/else", table, fields),
            }
        )


if __name__ == "__main__":
    fill()
