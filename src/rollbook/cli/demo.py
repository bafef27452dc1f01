"""`rollbook demo`: four days of a company, played with real processes."""

from typing import Annotated

import typer


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the systems running afterwards, and say where they are.")
    ] = False,
) -> None:
    """Play four days of hiring, moving and leaving against five systems, and check each of them."""
    from rollbook.demo.runner import main

    raise typer.Exit(main(keep=keep))
