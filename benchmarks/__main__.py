"""`make bench`: every benchmark, one after the other. Some hours on two cores."""

import subprocess
import sys

BENCHMARKS = [
    *("step_speed", "strided", "quality", "conditional", "modes", "ddp_overhead", "upload_speed", "sweeps", "collapse", "serving"),
    *("tables", "text", "sentences", "video", "scaling", "recovery", "first_step"),
]

if __name__ == "__main__":
    for name in BENCHMARKS:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
