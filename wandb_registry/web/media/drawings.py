"""Files that a library draws in a sandboxed frame: figures of Plotly and Bokeh, objects in three dimensions, molecules,
tables by a chart that a user specified.

The frame's page is ours, and the file is data in it: its policy runs our scripts alone. They stand in the page, since a
frame without an origin may load nothing, not even from here.
"""

import base64
import json
from dataclasses import dataclass
from functools import partial

from wandb_registry.web.rendering import STATIC, render
from wandb_registry.web.views import Framed

OBJECTS = (".pts.json", ".obj", ".gltf", ".glb", ".stl", ".babylon")
MOLECULES = (".pdb", ".pqr", ".mmcif", ".mcif", ".cif", ".sdf", ".sd", ".gro", ".mol2", ".mmtf")
ENDINGS = {"plotly": (".plotly.json",), "bokeh": (".bokeh.json",), "object": OBJECTS, "molecule": MOLECULES}
SPACE = {"scatter3d", "surface", "mesh3d", "cone", "streamtube", "isosurface", "volume"}  # Plotly's, by type of trace
LIBRARIES = {
    "plotly": ["plotly/plotly-cartesian.min.js"],
    "bokeh": ["bokeh/bokeh.min.js"],
    "object": ["three/three.min.js"],
    "molecule": ["3dmol/3Dmol.min.js"],
    "chart": ["vega/vega.min.js", "vega/vega-lite.min.js", "vega/vega-interpreter.min.js"],
}
IN_SPACE = "plotly/plotly-gl3d.min.js"  # Plotly's other bundle: it draws in three dimensions, but no histogram


@dataclass(frozen=True)
class Drawing:
    """What draws a file, and the file's ending, which says in which format it is.

    `about` is JSON: the specification of a chart, and the columns and texts that stand for its own.
    """

    kind: str
    ending: str
    about: str = "{}"


def drawing_of(name: str) -> Drawing | None:
    """What draws a file of this name; None for a file that no library here draws."""
    lower = name.lower()
    found = ((kind, ending) for kind, endings in ENDINGS.items() for ending in endings if lower.endswith(ending))
    return next((Drawing(kind, ending.lstrip(".")) for kind, ending in found), None)


def framed(md5: str, name: str, drawing: Drawing) -> Framed:
    """The frame's page of a file."""
    return Framed(md5, name.rpartition("/")[2], scripts=True, page=partial(_page, drawing, name))


def _page(drawing: Drawing, name: str, content: bytes, nonce: str) -> bytes:
    in_space = drawing.kind == "plotly" and _is_in_space(content)
    libraries = [IN_SPACE] if in_space else LIBRARIES[drawing.kind]
    scripts = [_script(STATIC[script]) for script in [*libraries, "drawings.js"]]
    shown = {"drawing": drawing, "name": name, "nonce": nonce, "scripts": scripts}
    return render("drawing.html", shown | {"content": base64.b64encode(content).decode()}).encode()


def _is_in_space(figure: bytes) -> bool:
    try:
        return any(trace.get("type") in SPACE for trace in json.loads(figure)["data"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _script(text: bytes) -> str:
    """A script of ours as it may stand in a page: no string in it ends its element."""
    return text.decode().replace("</script", "<\\/script")
