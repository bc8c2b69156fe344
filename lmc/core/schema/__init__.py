"""Every kind of table, declared once: its columns, who makes it, and how it is drawn and reported.

Tables are tidy: one fact per row, the first columns say which runs. ``frame`` is the only way to make one,
so a table read back, printed or collected always has these columns, in this order.
"""

from lmc.core.schema.columns import Column, Direction, Role
from lmc.core.schema.frames import columns, concatenate, frame, nearest_middle
from lmc.core.schema.kinds import STORED, TABLES
from lmc.core.schema.settings import Setting
from lmc.core.schema.table import Figure, Table

__all__ = [
    "STORED",
    "TABLES",
    "Column",
    "Direction",
    "Figure",
    "Role",
    "Setting",
    "Table",
    "columns",
    "concatenate",
    "frame",
    "nearest_middle",
]
