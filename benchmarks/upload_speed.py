"""Upload speed of a large file to one S3 server: ganray's store against `aws s3 cp`, without the start of its interpreter."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ratios import alternate, summary
from ganray.storage import open_store
from tests.helpers.s3_server import WRITER, running_server


def aws(*arguments: str) -> None:
    """Run the AWS command line without output."""
    subprocess.run([sys.executable, "-m", "awscli", *arguments], check=True, capture_output=True)


def start_of_aws(folder: Path) -> float:
    """Return how long the AWS command line takes to upload one byte: its start, mostly."""
    (folder / "byte").write_bytes(b"x")
    start = time.perf_counter()
    aws("s3", "cp", str(folder / "byte"), "s3://bench/byte")
    return time.perf_counter() - start


def main() -> None:
    """Print the ratio of durations, after checking that both files arrived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=512)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        os.environ.update(server.environment(WRITER))
        server.client().create_bucket(Bucket="bench")
        path = Path(folder, "file")
        path.write_bytes(os.urandom(arguments.megabytes << 20))
        store = open_store("s3://bench")
        empty = min(start_of_aws(Path(folder)) for _ in range(3))

        def upload_by_aws() -> None:
            aws("s3", "cp", str(path), "s3://bench/aws")

        def upload_by_ganray() -> None:
            time.sleep(empty)  # aws's start, so that only the transfer is compared
            store.upload(path, "ganray")

        ratios = alternate(upload_by_aws, upload_by_ganray, pairs=arguments.pairs)
        sizes = {info.key: info.size for info in store.list()}
        assert sizes["aws"] == sizes["ganray"] == path.stat().st_size
    print(
        f"upload speed, ganray / aws s3 cp, {arguments.megabytes} MB: {summary(ratios)}; the start of aws, {empty:.1f} s, counts for both"
    )


if __name__ == "__main__":
    main()
