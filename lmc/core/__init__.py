"""What every room stands on: errors, registries, seeds, tables, statistics."""
