"""What leaves the program as a file: a map over its picture (`overlay`), in colours of one scale (`palette`)."""

from qwenvl_debug.report.overlay import overlay
from qwenvl_debug.report.palette import PALETTES, cell_alpha, palette

__all__ = ["PALETTES", "cell_alpha", "overlay", "palette"]
