"""`make bench`: every benchmark, one after the other. About ten minutes."""

import subprocess
import sys

BENCHMARKS = ("step_speed", "quality", "upload_speed")

for name in BENCHMARKS:
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)
