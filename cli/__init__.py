"""The command line: Typer, Hydra and Rich live here, and nowhere else."""
