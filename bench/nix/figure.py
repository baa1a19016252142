"""A figure of update sizes: one group of bars for each transition, one bar for each method, on a logarithmic scale."""
import math
import sys
from xml.sax.saxutils import escape

# Colours that can be told apart on white and on black, and by those who see no red or no green; ours comes last.
COLOURS = ["#9aa5b1", "#56b4e9", "#0072b2", "#e6b800", "#cc79a7", "#a0522d", "#7b61c9", "#d55e00"]
BAR, GAP, LEFT, TOP, HEIGHT, BOTTOM = 11, 22, 64, 64, 300, 72
# Less than this is as good as nothing, and has a bar of no height.
LEAST = 100
STYLE = """
  text { font: 12px sans-serif; fill: #24292f; }
  .small { font-size: 10px; }
  .grid { stroke: #8c959f; stroke-opacity: 0.35; }
  .axis { stroke: #57606a; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .axis { stroke: #9198a1; } }
"""


def figure(title, groups, methods):
    """The SVG. groups: [(label, second label, {method: bytes})]; what has no value has no bar. Ours is the last method."""
    values = [max(value, LEAST) for _, _, sizes in groups for value in sizes.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) + 1))
    step = BAR * len(methods) + GAP
    width, height = LEFT + step * len(groups) + 12, TOP + HEIGHT + BOTTOM

    def y(value):
        return TOP + HEIGHT * (1 - (math.log10(max(value, LEAST)) - low) / (high - low))

    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           f'role="img"><title>{escape(title)}</title><style>{STYLE}</style>')
    yield f'<text x="{LEFT}" y="18">{escape(title)}</text>'
    place = LEFT
    for method, colour in zip(methods, colours(methods)):
        yield f'<rect x="{place}" y="30" width="{BAR}" height="{BAR}" fill="{colour}"/>'
        yield f'<text x="{place + BAR + 5}" y="40">{escape(method)}</text>'
        place += BAR + 26 + 7 * len(method)
    for power in range(low, high + 1):
        line = y(10 ** power)
        yield f'<line class="grid" x1="{LEFT}" x2="{width - 12}" y1="{line:.1f}" y2="{line:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{line + 4:.1f}" text-anchor="end">{unit(power)}</text>'
    for index, (label, second, sizes) in enumerate(groups):
        start = LEFT + GAP / 2 + index * step
        for number, (method, colour) in enumerate(zip(methods, colours(methods))):
            if method in sizes:
                top, left = y(sizes[method]), start + number * BAR
                yield (f'<rect x="{left:.1f}" y="{top:.1f}" width="{BAR - 1}" height="{TOP + HEIGHT - top:.1f}" '
                       f'fill="{colour}"><title>{escape(label)}, {escape(method)}: {sizes[method]:,} bytes</title></rect>')
        middle = start + step / 2 - GAP / 2
        yield f'<text x="{middle:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{escape(label)}</text>'
        yield f'<text class="small" x="{middle:.1f}" y="{TOP + HEIGHT + 34}" text-anchor="middle">{escape(second)}</text>'
        if methods[-1] in sizes:
            yield (f'<text class="small" x="{middle:.1f}" y="{TOP + HEIGHT + 50}" text-anchor="middle">'
                   f'{escape(methods[-1])} {short(sizes[methods[-1]])}</text>')
    yield f'<line class="axis" x1="{LEFT}" x2="{width - 12}" y1="{TOP + HEIGHT}" y2="{TOP + HEIGHT}"/>'
    yield "</svg>"


def colours(methods):
    return [*COLOURS[:len(methods) - 1], COLOURS[-1]]


def unit(power):
    return f"{10 ** (power % 3)} {'B kB MB GB'.split()[power // 3]}"


def short(value):
    """A size in three digits."""
    power = int(math.log10(max(value, 1))) // 3
    return f"{value / 1000 ** power:.3g} {'B kB MB GB'.split()[power]}"


if __name__ == "__main__":
    sys.exit("this is a part of bench/nix-updates")
