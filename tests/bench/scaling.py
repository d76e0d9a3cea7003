"""Cost per n over n, from the rows of a benchmark: `python tests/bench/scaling.py bench.json scaling.png`.

Where a name has rows for several n, the time of one call is divided by n: a flat line says that the cost
is linear, a rising one that it is not. Names about pairs are divided by the pairs, n (n - 1) / 2.
One panel for each theme, the file of tests that measured it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

Curve = list[tuple[int, float]]


def curves(benchmarks: list[dict[str, Any]]) -> dict[str, dict[tuple[str, str], Curve]]:
    """theme -> (name, who) -> (n, seconds per n, or per pair), sorted; at least two n each, one thread."""
    found: dict[str, dict[tuple[str, str], Curve]] = {}
    for one in benchmarks:
        info = one["extra_info"]
        if "who" not in info or info["threads"] != 1:
            continue
        theme = Path(one["fullname"].split("::")[0]).stem.removeprefix("test_bench_")
        key = (info["name"], info["who"])
        point = (info["n"], one["stats"]["min"] / _units(info["name"], info["n"]))
        found.setdefault(theme, {}).setdefault(key, []).append(point)
    several = {
        theme: {key: sorted(curve) for key, curve in named.items() if len({n for n, _ in curve}) > 1}
        for theme, named in found.items()
    }
    return {theme: named for theme, named in several.items() if named}


def draw(themes: dict[str, dict[tuple[str, str], Curve]], path: Path) -> None:
    """Ours as full lines, peers as broken ones of the same colour."""
    count = len(themes)
    figure, panels = plt.subplots(
        count, 1, figsize=(9, 1 + 3.6 * count), layout="constrained", squeeze=False
    )
    for axes, (theme, named) in zip(panels[:, 0], themes.items(), strict=True):
        colours: dict[str, str] = {}
        for (name, who), curve in named.items():
            colour = colours.setdefault(name, f"C{len(colours) % 10}")
            label = f"{name}: {who}" if who == "ours" else who
            style = "o-" if who == "ours" else "s:"
            axes.loglog(*zip(*((n, 1e9 * s) for n, s in curve), strict=True), style, color=colour,
                        ms=4, label=label)
        axes.set(title=theme, xlabel="n", ylabel="ns per n (pairs: per pair)")
        axes.grid(which="major", alpha=0.2)
        axes.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=130)


def _units(name: str, n: int) -> float:
    return n * (n - 1) / 2 if "pairs" in name else n


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    themes = curves(json.loads(source.read_text(encoding="utf-8"))["benchmarks"])
    if not themes:
        raise SystemExit(f"no name in {source} has rows for several n")
    draw(themes, target)


if __name__ == "__main__":
    main()
