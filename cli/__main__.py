"""``python -m lmc.cli``: the program where its script is not on the path."""

from .main import app

app(prog_name="lmc")
