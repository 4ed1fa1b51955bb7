"""Draw the rooms of the package and their imports: `python docs/architecture.py` writes docs/architecture.svg.

The imports are read from the source files. An arrow that a longer chain of arrows implies is left out, and so are
imports of `utils` and `errors`, which every room may use. Each room stands below all rooms that import it.
"""

import ast
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

PACKAGE = Path(__file__).parents[1] / "src" / "gest"
PICTURE = Path(__file__).with_suffix(".svg")
FOUNDATION = ("utils", "errors")
PURPOSES = {
    "cli": "one command per verb",
    "paper": "reproduction of the paper",
    "hub": "load and share models",
    "testing": "simulated upstream files",
    "tasks": "what a trained model does",
    "baselines": "methods to compare with",
    "pl": "pictures for users",
    "training": "tokens become a model",
    "data": "a file becomes tokens",
    "kernels": "fast attention",
    "model": "the decoder",
    "vocabulary": "meta cells",
    "_metacells": "Algorithm 1",
    "attention": "Eq. 6",
    "position": "Eq. 12",
    "loss": "Eq. 9 and 10",
    "windows": "Eq. 5",
    "metrics": "errors, correlations",
    "roi": "regions of interest",
    "sections": "the format of a section",
    "config": "settings of a model",
}
COLOURS = {"cli": "#d9d9d9", "paper": "#fbd9b5"}
FOLDER, FILE, EDGE = "#cfe3f5", "#ffffff", "0.35"
WIDTH, HEIGHT, GAP, ROW = 1.75, 0.62, 0.35, 1.25  # of a box, between boxes, between rows; inches


def read_imports() -> dict[str, set[str]]:
    """Map every room (folder or file below `gest`) to the rooms that it imports."""
    imports: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ("__init__", *FOUNDATION):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            imports.setdefault(room, set()).update(_imported_rooms(tree))
    return {room: imported & imports.keys() - {room} for room, imported in imports.items()}


def _imported_rooms(node: ast.AST) -> Iterator[str]:
    """Yield the rooms that a piece of code imports; imports for type checking do not count."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.ImportFrom) and node.module == "gest":
        yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gest."):
        yield node.module.split(".")[1]
    for child in ast.iter_child_nodes(node):
        yield from _imported_rooms(child)


def reduce_imports(imports: dict[str, set[str]]) -> dict[str, list[str]]:
    """Leave out every import that a chain of other imports implies."""
    below = {room: _reachable(imports, room) for room in imports}
    reduced = {}
    for room, imported in imports.items():
        implied = {other for name in imported for other in below[name]}
        reduced[room] = sorted(imported - implied)
    return reduced


def _reachable(imports: dict[str, set[str]], room: str) -> set[str]:
    """Return all rooms that a room imports, directly or through others."""
    return set().union(*({name} | _reachable(imports, name) for name in imports[room]))


def assign_rows(imports: dict[str, list[str]]) -> dict[str, int]:
    """Assign each room to the row below the lowest room that imports it."""
    rows: dict[str, int] = {}

    def assign(room: str) -> int:
        if room not in rows:
            importers = [name for name, imported in imports.items() if room in imported]
            rows[room] = 1 + max(map(assign, importers), default=-1)
        return rows[room]

    for room in imports:
        assign(room)
    return rows


def place(imports: dict[str, list[str]]) -> tuple[dict[str, tuple[float, float]], list[list[str]]]:
    """Place the rooms; return their centres, and each arrow as the points that it passes.

    An arrow over several rows passes each of them at a point between the boxes (a name with `>`).
    """
    rows = assign_rows(imports)
    table: list[list[str]] = [[] for _ in range(max(rows.values()) + 1)]
    for room in sorted(rows):
        table[rows[room]].append(room)
    arrows = []
    for room in sorted(imports):
        for name in imports[room]:
            between = [f"{room}>{name}>{row}" for row in range(rows[room] + 1, rows[name])]
            for point in between:
                table[int(point.rpartition(">")[2])].append(point)
            arrows.append([room, *between, name])
    neighbours: dict[str, set[str]] = {}
    for arrow in arrows:
        for first, second in pairwise(arrow):
            neighbours.setdefault(first, set()).add(second)
            neighbours.setdefault(second, set()).add(first)

    xs: dict[str, float] = {}
    for _ in range(12):  # each row is ordered by the mean position of what its rooms are connected to
        for row in table:
            row.sort(key=lambda name: (_mean(xs, neighbours.get(name, set()), xs.get(name, 0.0)), name))
            xs.update(_spread(row))
    return {name: (xs[name], -ROW * number) for number, row in enumerate(table) for name in row}, arrows


def _mean(xs: dict[str, float], names: set[str], default: float) -> float:
    """Average the positions of those names that have one."""
    known = [xs[name] for name in names if name in xs]
    return sum(known) / len(known) if known else default


def _spread(row: list[str]) -> dict[str, float]:
    """Set the boxes of a row side by side around 0."""
    widths = [GAP / 2 if ">" in name else WIDTH for name in row]
    left = -(sum(widths) + GAP * (len(row) - 1)) / 2
    xs = {}
    for name, width in zip(row, widths, strict=True):
        xs[name] = left + width / 2
        left += width + GAP
    return xs


def draw() -> Figure:
    """Draw the rooms in rows, with arrows from each room to the rooms that it imports."""
    centres, arrows = place(reduce_imports(read_imports()))
    rooms = {name: centre for name, centre in centres.items() if ">" not in name}
    halves = {name: 0 if ">" in name else WIDTH / 2 for name in centres}  # points that arrows pass have no width
    right = max(x + halves[name] for name, (x, _) in centres.items()) + 0.15
    left = min(x - halves[name] for name, (x, _) in centres.items()) - 0.15
    bottom = min(y for _, y in rooms.values()) - HEIGHT - GAP
    figure = Figure(figsize=(right - left, HEIGHT / 2 + 0.1 - (bottom - HEIGHT / 2 - 0.1)))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(left, right)
    ax.set_ylim(bottom - HEIGHT / 2 - 0.1, HEIGHT / 2 + 0.1)
    ax.set_axis_off()
    for arrow in arrows:
        _draw_arrow(ax, [centres[name] for name in arrow])
    for room, centre in rooms.items():
        colour = COLOURS.get(room, FOLDER if (PACKAGE / room).is_dir() else FILE)
        _draw_box(ax, centre, WIDTH, colour, room, PURPOSES.get(room, ""))
    width = right - left - 0.3
    _draw_box(ax, ((left + right) / 2, bottom), width, FOLDER, ", ".join(FOUNDATION), "every room may use these")
    return figure


def _draw_box(ax: Axes, centre: tuple[float, float], width: float, colour: str, name: str, purpose: str) -> None:
    x, y = centre
    corner = (x - width / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.08"
    ax.add_patch(FancyBboxPatch(corner, width, HEIGHT, boxstyle=style, facecolor=colour, edgecolor=EDGE, zorder=2))
    ax.text(x, y + 0.11, name, ha="center", va="center", fontsize=11, fontweight="bold", zorder=3)
    ax.text(x, y - 0.14, purpose, ha="center", va="center", fontsize=8.5, color="0.25", zorder=3)


def _draw_arrow(ax: Axes, points: list[tuple[float, float]]) -> None:
    """Draw a smooth line through the points, from the bottom of the first box to the top of the last."""
    ends = [(x, y - HEIGHT / 2 if number == 0 else y) for number, (x, y) in enumerate(points)]
    ends[-1] = (ends[-1][0], ends[-1][1] + HEIGHT / 2)
    vertices, codes = [ends[0]], [Curve.MOVETO]
    for (x, y), (to_x, to_y) in pairwise(ends):
        middle = (y + to_y) / 2
        vertices += [(x, middle), (to_x, middle), (to_x, to_y)]
        codes += [Curve.CURVE4] * 3
    style = "-|>,head_length=5,head_width=2.5"
    ax.add_patch(FancyArrowPatch(path=Curve(vertices, codes), arrowstyle=style, color=EDGE, linewidth=1, zorder=1))


def render() -> str:
    """Return the picture as SVG, the same bytes for the same imports."""
    with matplotlib.rc_context({"svg.hashsalt": "gest", "svg.fonttype": "none"}):
        buffer = io.StringIO()
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(render(), encoding="utf-8")
