"""A picture of one pair of axes, for the examples: lines, bars and points, drawn with Pillow alone."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BLUE, ORANGE, GREEN, GRAY = (31, 87, 165), (221, 110, 20), (30, 130, 70), (150, 150, 150)


class Plot:
    """A picture of one pair of axes, drawn at twice its size and then halved, which smooths its lines.

    Args:
        title: above the axes.
        x: first and last value of the horizontal axis.
        y: of the vertical axis.
        names: of the two axes.
        ticks: name of each marked horizontal value; by default five numbers.
    """

    width, height, left, right, top, bottom = 1200, 780, 120, 40, 112, 110

    def __init__(self, title, x, y, names=("", ""), ticks=None):
        self.x, self.y, self.legends = x, y, 0
        self.image = Image.new("RGB", (self.width, self.height), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.font, self.small = ImageFont.load_default(32), ImageFont.load_default(26)
        self.pen.text((self.left, 24), title, "black", self.font)
        for value, name in (ticks or {v: f"{v:.3g}" for v in np.linspace(*x, 5)}).items():
            at = self.at(value, y[0])
            self.pen.line([at, (at[0], at[1] + 8)], GRAY, 2)
            self.pen.text((at[0], at[1] + 14), name, "black", self.small, anchor="ma")
        for value in np.linspace(*y, 5):
            self.pen.line([self.at(x[0], value), self.at(x[1], value)], (225, 225, 225), 2)
            self.pen.text((self.left - 14, self.at(0, value)[1]), f"{value:.3g}", "black", self.small, anchor="rm")
        self.pen.text((self.width / 2, self.height - 24), names[0], "black", self.small, anchor="ms")
        self.pen.text((self.left, self.top - 8), names[1], GRAY, self.small, anchor="lb")

    def at(self, x, y):
        """Returns the point of a pair of values; what leaves the axes is drawn on their edge."""
        share = [(value - low) / (high - low) for value, (low, high) in ((x, self.x), (y, self.y))]
        across, up = (min(max(part, 0.0), 1.0) for part in share)
        wide, high = self.width - self.left - self.right, self.height - self.top - self.bottom
        return self.left + across * wide, self.top + (1 - up) * high

    def legend(self, name, color):
        """Adds a line to the legend, above the axes."""
        y = 24 + 34 * self.legends
        self.pen.rectangle([self.width - 440, y - 4, self.width - 400, y + 4], color)
        self.pen.text((self.width - 388, y), name, "black", self.small, anchor="lm")
        self.legends += 1

    def line(self, x, y, name, color, width=6):
        """Draws a curve through the points that lie within the axes."""
        self.legend(name, color)
        inside = [self.at(a, b) for a, b in zip(x, y, strict=True) if self.y[0] <= b <= self.y[1]]
        self.pen.line(inside, color, width, joint="curve")

    def bars(self, x, y, name, color, width):
        """Draws bars from the lower edge, centered at x."""
        self.legend(name, color)
        for a, b in zip(x, y, strict=True):
            (left, top), (right, bottom) = self.at(a - width / 2, b), self.at(a + width / 2, self.y[0])
            self.pen.rectangle([left, top, right, bottom], color)

    def points(self, x, y, color, radius=5):
        """Draws a dot at each pair."""
        for a, b in zip(x, y, strict=True):
            across, up = self.at(a, b)
            self.pen.ellipse([across - radius, up - radius, across + radius, up + radius], color)

    def mark(self, x, y, name, color):
        """Writes a name at a point, in front of what is there."""
        self.pen.text(self.at(x, y), name, color, self.font, anchor="mm", stroke_width=6, stroke_fill="white")

    def pixels(self):
        """Returns the picture, uint8 (height, width, 3)."""
        return np.asarray(self.image.resize((self.width // 2, self.height // 2), Image.Resampling.LANCZOS))
