"""`ganray serve`."""

from importlib.util import find_spec
from pathlib import Path

import click

from ganray.cli.options import FiniteRange, address_option, public_key_option
from ganray.errors import ConfigError

PACKAGES = ("fastapi", "fastapi_offline", "uvicorn")  # of the extra


@click.command("serve")
@click.argument("artifact")
@address_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The interface to listen at; 0.0.0.0 is all of them.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="The port to listen at; 0 is any free one.")
@click.option(
    "--replicas", "max_replicas", default=1, show_default=True, type=click.IntRange(1), help="Under load, up to so many processes."
)
@click.option("--use-gpu", is_flag=True, help="A GPU for each replica; samples may then differ by a grey level from a CPU's.")
@click.option("--max-num", default=256, show_default=True, type=click.IntRange(1, 4096), help="Samples in one answer.")
@click.option(
    "--rate", default=2000.0, show_default=True, type=FiniteRange(0), help="Samples a second for each client and replica; 0: no limit."
)
@click.option("--follow", "follow_s", default=10.0, show_default=True, type=FiniteRange(0.1), help="Seconds between looks for a new best.")
@public_key_option
def serve_command(
    artifact: str,
    address: str | None,
    host: str,
    port: int,
    max_replicas: int,
    use_gpu: bool,
    max_num: int,
    rate: float,
    follow_s: float,
    public_key: Path | None,
) -> None:
    """Serve ARTIFACT, a model's folder (its best version, followed when it moves) or a version's, as a page and over HTTP."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ConfigError("serve", f"needs the package {missing[0]}, which is not installed", "pip install 'ganray[serve]'")
    from ganray.serve.server import serve_until_interrupted
    from ganray.serve.settings import Settings

    limits = {"max_num": max_num, "rate": rate, "follow_s": follow_s, "max_replicas": max_replicas}
    settings = Settings(artifact=artifact, public_key=public_key, use_gpu=use_gpu, **limits)
    serve_until_interrupted(settings, address=address, host=host, port=port, ready=lambda url: click.echo(f"serving  {url}"))
