"""`mlnet models`."""

import typer

WIDTH = 140  # columns


def models() -> None:
    """List the checkpoints that `--model` knows by name.

    A checkpoint's folder or a Hub id work as well.

    Example: mlnet models
    """
    from rich.console import Console
    from rich.table import Table

    from ..hub.registry import ALIASES, is_here, read_manifest

    table = Table(box=None, pad_edge=False)
    for title in ("name", "backbone", "parameters", "NSS / CC (tuebingen)", "licence", "where", "on this machine"):
        table.add_column(title)
    notes = []
    for name, entry in read_manifest().items():
        short = next((alias for alias, long in ALIASES.items() if long == name), None)
        figures = "\n".join(
            f"{data} {scores['NSS']:.2f} / {scores['CC']:.3f}" for data, scores in entry.scores.items()
        )
        where = "in the package" if entry.path else entry.hub_id or "not published yet"
        table.add_row(
            f"{short} ({name})" if short else name,
            entry.backbone,
            f"{entry.parameters / 1e6:.1f} M",
            figures or "-",
            entry.license,
            where if entry.revision is None else f"{where} at {entry.revision[:8]}",
            "yes" if is_here(entry) else "no",
        )
        notes.append(f"{name}: {entry.description}")
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)  # a table with wrapped cells is harder to read than one with long lines
    console.print(table)
    typer.echo("\n".join(["", *notes]))
