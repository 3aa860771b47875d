"""`make bench`: every benchmark, one after the other. About an hour and a half."""

import subprocess
import sys

BENCHMARKS = ("step_speed", "quality", "sweeps")

for name in BENCHMARKS:
    subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=True)
