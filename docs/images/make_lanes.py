"""Draws docs/images/lanes.svg: the slots of a small lane over time, refilled as ASHA frees them.

    python docs/images/make_lanes.py

Made up, but by the rules: promoting ASHA over 1, 3 and 9 epochs; a slot that is free takes a promotion, or a new trial.
"""

from __future__ import annotations

from pathlib import Path

SLOTS = (
    ("batch 32", ((0, 1, 3), (1, 1, 3), (2, 1, 3), (3, 2, 1), (5, 1, 3), (6, 3, 2))),
    ("batch 32", ((0, 1, 3), (1, 1, 3), (2, 1, 3), (3, 6, 2))),
    ("batch 32", ((0, 1, 3), (1, 1, 3), (2, 2, 1), (4, 1, 3), (5, 0.6, 4), (6, 1, 3), (7, 2, 1))),
    ("batch 128", ((0, 1, 3), (1, 1, 3), (2, 1, 3), (3, 2, 1), (5, 1, 3), (6, 2, 1), (8, 1, 3))),
    ("batch 128", ((0, 1, 3), (1, 2, 1), (3, 1, 3), (4, 5, 2))),
)
"""(start, length in epochs, what) of each slot's segments."""
KINDS = {
    3: ("#9ecae1", "to epoch 1: a new trial"),
    1: ("#4292c6", "to epoch 3: promoted"),
    2: ("#084594", "to epoch 9: promoted again"),
    4: ("#d7301f", "not finite: the slot is freed, the others notice nothing"),
}
EPOCH, ROW, LEFT, TOP = 72, 30, 120, 34


def main() -> None:
    width, height = LEFT + 9 * EPOCH + 24, TOP + len(SLOTS) * ROW + 86
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" fill="#333">one lane: five slots in two groups, each group one program</text>',
    ]
    for row, (batch, segments) in enumerate(SLOTS):
        y = TOP + row * ROW + (8 if batch == "batch 128" else 0)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 18}" text-anchor="end" fill="#333">slot {row}, {batch}</text>')
        for start, length, kind in segments:
            length = min(length, 9 - start)
            x, w = LEFT + start * EPOCH, length * EPOCH - 3
            parts.append(f'<rect x="{x}" y="{y}" width="{w:.0f}" height="{ROW - 5}" rx="3" fill="{KINDS[kind][0]}"/>')
    axis = TOP + len(SLOTS) * ROW + 18
    parts += [
        f'<text x="{LEFT + epoch * EPOCH}" y="{axis}" text-anchor="middle" fill="#333">{epoch}</text>'
        for epoch in range(10)
    ]
    parts.append(f'<text x="{LEFT - 10}" y="{axis}" text-anchor="end" fill="#333">epochs</text>')
    for place, (colour, text) in enumerate(KINDS.values()):
        x, y = LEFT + (place % 2) * 250, axis + 18 + 20 * (place // 2)
        parts.append(f'<rect x="{x}" y="{y}" width="14" height="14" rx="3" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="{y + 12}" fill="#333">{text}</text>')
    Path(__file__).with_name("lanes.svg").write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
