"""Plots as SVG, written by hand: bars and lines on logarithmic scales."""

import math
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

UPSTREAM = "#b5534b"
OURS = "#2f6f9f"
TEXT = 'font-family="sans-serif" font-size="12" fill="#222"'


def text(x, y, content, anchor="start", more=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {TEXT} {more}>'
        f"{escape(content)}</text>"
    )


def line(x1, y1, x2, y2, color="#ddd", more=""):
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{color}" {more}/>'
    )


def legend(x, y):
    return [
        f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{UPSTREAM}"/>',
        text(x + 18, y, "upstream's schema"),
        f'<rect x="{x + 150}" y="{y - 10}" width="12" height="12" fill="{OURS}"/>',
        text(x + 168, y, "with the extra indexes"),
    ]


def write(path, width, height, title, parts):
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
        + text(10, 20, title, more='font-weight="bold"') + "\n"
        + "\n".join(parts) + "\n</svg>\n"
    )
    fromstring(svg)  # a viewer would not show what is not XML
    with open(path, "w", encoding="utf-8") as file:
        file.write(svg)


def powers(low, high):
    """Powers of ten from the one below low to the one above high."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def bars(path, title, rows):
    """Rows are a label, upstream's figure and ours."""
    left, width, step = 330, 760, 34
    ticks = powers(1, max(max(row[1:]) for row in rows))
    height = 60 + step * len(rows) + 30

    def place(value):
        share = math.log10(max(value, 1)) / math.log10(ticks[-1])
        return left + (width - left - 70) * share

    parts = legend(left, 42)
    for tick in ticks:
        x = place(tick)
        parts += [line(x, 52, x, height - 26), text(x, height - 10, f"{tick:,.0f}", "middle")]
    for i, (label, upstream, ours) in enumerate(rows):
        y = 58 + step * i
        parts.append(text(left - 8, y + 17, label, "end"))
        for n, (value, color) in enumerate(((upstream, UPSTREAM), (ours, OURS))):
            parts.append(
                f'<rect x="{left}" y="{y + n * 13}" height="12" fill="{color}" '
                f'width="{max(place(value) - left, 1):.1f}"/>'
            )
            parts.append(text(place(value) + 4, y + n * 13 + 10, f"{value:,.0f}"))
    write(path, width, height, title, parts)


def lines(path, title, panels, scales):
    """Panels are a label, upstream's figures and ours, one for each scale."""
    size, gap, across = 200, 75, 3
    rows = math.ceil(len(panels) / across)
    width = across * (size + gap) + 30
    height = 60 + rows * (size + 40)
    most = max(max(upstream + ours) for _, upstream, ours in panels)
    ticks = powers(1, most)
    parts = legend(10, 42)
    for i, (label, upstream, ours) in enumerate(panels):
        left = 65 + (i % across) * (size + gap)
        top = 80 + (i // across) * (size + 40)
        bottom = top + size - 20

        def place(n, value, left=left, bottom=bottom):
            x = left + (size - 20) * n / max(len(scales) - 1, 1)
            share = math.log10(max(value, 1)) / math.log10(ticks[-1])
            return x, bottom - (size - 40) * share

        parts.append(text(left, top, label))
        for tick in ticks:
            _, y = place(0, tick)
            parts += [line(left, y, left + size - 20, y),
                      text(left - 4, y + 4, f"{tick:,.0f}", "end", 'style="font-size: 10px"')]
        for n, scale in enumerate(scales):
            parts.append(text(place(n, 1)[0], bottom + 16, f"{scale * 100:g} %", "middle"))
        for values, color in ((upstream, UPSTREAM), (ours, OURS)):
            points = [place(n, value) for n, value in enumerate(values)]
            parts.append(
                f'<polyline fill="none" stroke="{color}" stroke-width="2" points="'
                + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>'
            )
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
                      for x, y in points]
    write(path, width, height, title, parts)


def spans(path, title, rows):
    """Rows are a label and, for each table, seconds from a start to the end."""
    left, width, step = 250, 760, 20
    most = max(end for _, end, _ in rows)
    height = 60 + sum(step * (len(tables) + 1) for _, _, tables in rows)
    parts = []
    y = 50
    for label, end, tables in rows:
        parts.append(text(10, y, f"{label}: {end:.1f} s"))
        for table, locked in tables.items():
            y += step
            scale = (width - left - 80) / most
            parts.append(text(left - 8, y, table, "end"))
            parts.append(
                f'<rect x="{left + (end - locked) * scale:.1f}" y="{y - 11}" height="13" '
                f'width="{max(locked * scale, 1):.1f}" '
                f'fill="{UPSTREAM if label == "Alembic" else OURS}"/>'
            )
            parts.append(text(left + end * scale + 4, y, f"{locked:.1f} s"))
        y += step
    write(path, width, height, title, parts)
