"""`mlnet push`."""

from typing import Annotated

import typer


def push(
    model: Annotated[str, typer.Argument(help="Folder of a checkpoint, or mini.", metavar="DIR_OR_CHECKPOINT")],
    hub_id: Annotated[str, typer.Argument(help="OWNER/NAME on the Hub.", metavar="HUB_ID")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[str | None, typer.Option(help="Push to this branch instead of main.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the files that would be sent.")] = False,
) -> None:
    """Publish a checkpoint on the Hub: weights, configuration, calibration, code for `trust_remote_code`, and card.

    Log in first, with `hf auth login`. Optimizer states and training arguments are never sent.

    Example: mlnet push runs/mini OWNER/my-saliency --dry-run
    """
    from ..hub.push import push as publish

    sizes, address = publish(model, hub_id, private or None, revision, dry_run)
    for name, size in sizes.items():
        print(f"{size:>12,}  {name}")
    total = f"{len(sizes)} files, {sum(sizes.values()):,} bytes"
    print(f"{total} would be sent to {hub_id}" if address is None else f"{total}: {address}")
