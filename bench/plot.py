#!/usr/bin/env python3
"""Draws what bench/sidebyside.py --save wrote, or prints it as a table:
bench/plot.py FILE.json OUT.svg        CPU a request over redis-server's, a group of bars for each workload
bench/plot.py FILE.json --markdown     redis-server, fluxkv and their ratios, for the README
"""
import json
import math
import sys
from xml.sax.saxutils import escape

COLOURS = {"fluxkv": "#1f6feb", "floor": "#9aa4b0"}
OTHERS = ["#e07b39", "#3a9b6b", "#a05fc4", "#c2a83e"]
INK, FAINT, PAPER = "#1b1f24", "#d5dae0", "#ffffff"
WIDTH, LEFT, RIGHT, TOP = 960, 350, 70, 118
BAR, GAP = 14, 12
RATIO_MOST = 4.0  # longer bars are cut, their labels tell the ratio


class Drawing:
    def __init__(self, width, height, title):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                      f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" font-size="13">',
                      f"<title>{escape(title)}</title>"]
        self.box(0, 0, width, height, PAPER)

    def box(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def line(self, x, y1, y2, colour, width=1):
        self.parts.append(f'<line x1="{x:.1f}" y1="{y1:.1f}" x2="{x:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                          f'stroke-width="{width}"/>')

    def text(self, x, y, words, more=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" {more}>{escape(words)}</text>')

    def end(self):
        return "\n".join([*self.parts, "</svg>", ""])


def groups_of(result):
    """Workload by workload: what it is, (server, CPU ratio) of those that were measured."""
    groups = []
    for workload in result["workloads"].values():
        bars = [(name, f["cpu_ratio"]) for name, f in workload["servers"].items() if "cpu_ratio" in f]
        if bars:
            groups.append((workload["what"], bars))
    return groups


def described(result):
    """Machine and servers, a line each."""
    m = result["machine"]
    versions = ", ".join(f"{'redis-server' if name == 'redis' else name} {server['version'] or ''}".strip()
                         for name, server in result["servers"].items())
    return (f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}",
            f"{versions}; {result['options']['keys']:,} keys, values of {result['value_bytes']} bytes, "
            f"median of {result['options']['rounds']} rounds, {result['date'][:10]}")


def svg(result):
    groups = groups_of(result)
    if not groups:
        sys.exit("there is nothing to draw: no workload has a ratio")
    names = [name for name in result["servers"] if any(name == bar for _, bars in groups for bar, _ in bars)]
    others = iter(OTHERS * len(names))
    colours = {name: COLOURS.get(name) or next(others) for name in names}
    most = min(max(ratio for _, bars in groups for _, ratio in bars), RATIO_MOST)
    most = max(math.ceil(most * 4) / 4, 1.25)
    scale = (WIDTH - LEFT - RIGHT) / most
    bottom = TOP + GAP + sum(len(bars) * BAR + GAP for _, bars in groups)

    title = "CPU a request over redis-server's: less is cheaper"
    drawing = Drawing(WIDTH, bottom + 34, title)
    drawing.text(20, 32, title, 'font-size="20" font-weight="bold"')
    for i, line in enumerate(described(result)):
        drawing.text(20, 53 + 17 * i, line, 'font-size="12"')
    x = 20
    for name in names:
        drawing.box(x, 84, BAR, BAR, colours[name])
        drawing.text(x + BAR + 6, 95, name)
        x += BAR + 34 + 8 * len(name)
    step = 0.25 if most <= 2 else 0.5
    for i in range(int(most / step) + 1):
        drawing.line(LEFT + i * step * scale, TOP, bottom, FAINT)
        drawing.text(LEFT + i * step * scale, bottom + 18, f"{i * step:g}", 'text-anchor="middle" font-size="12"')

    y, labels = TOP + GAP, []
    for what, bars in groups:
        drawing.text(LEFT - 12, y + len(bars) * BAR / 2 + 4.5, what, 'text-anchor="end"')
        for name, ratio in bars:
            length = min(ratio, most) * scale
            drawing.box(LEFT, y + 1, length, BAR - 2, colours[name])
            labels.append((LEFT + length, y, f"{ratio:.2f}"))
            y += BAR
        y += GAP
    drawing.line(LEFT + scale, TOP, bottom, INK, 1.5)
    for x, y, words in labels:  # with a background, so that no line goes through them
        drawing.box(x + 2, y + 1, 8 + 6 * len(words), BAR - 2, PAPER)
        drawing.text(x + 5, y + BAR - 3, words, 'font-size="11"')
    drawing.text(LEFT + scale, TOP - 6, "redis-server = 1", 'text-anchor="middle" font-size="12"')
    return drawing.end()


def microseconds(value):
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(result):
    lines = ["| workload | redis-server, CPU us a request | fluxkv | ratio | over the floor | requests/s, ratio |",
             "|---|---|---|---|---|---|"]
    for workload in result["workloads"].values():
        theirs, ours = workload["servers"]["redis"], workload["servers"]["fluxkv"]
        floor = f"{ours['cpu_floor_ratio']:.2f}" if "cpu_floor_ratio" in ours else "-"
        lines.append(f"| {workload['what']} | {microseconds(theirs['cpu_us'])} | {microseconds(ours['cpu_us'])} | "
                     f"{ours['cpu_ratio']:.2f} | {floor} | {ours['rps_ratio']:.2f} |")
    return "\n".join([*lines, ""])


def main():
    if "--help" in sys.argv[1:]:
        print(__doc__.strip())
        return
    if len(sys.argv) != 3:
        sys.exit("usage: bench/plot.py FILE.json OUT.svg|--markdown")
    source, target = sys.argv[1:]
    try:
        with open(source, encoding="utf-8") as file:
            result = json.load(file)
        if target == "--markdown":
            sys.stdout.write(markdown(result))
        else:
            drawn = svg(result)
            with open(target, "w", encoding="utf-8") as file:
                file.write(drawn)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    except (ValueError, KeyError, TypeError):
        sys.exit(f"{source} is not what bench/sidebyside.py --save writes")


if __name__ == "__main__":
    main()
