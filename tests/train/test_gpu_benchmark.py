"""benchmarks/gpu.py is for machines that the tests do not have: in small, it runs on a processor."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def test_the_benchmark_of_a_gpu_runs_in_small_on_a_processor(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--small", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for part in ("equal bit for bit", "aligned, official", "fp16", "texts/s", "frozen features", "label: 300 images"):
        assert part in ran.stdout
