"""What a worker's process is set to before it trains: allocator, threads, device, which is checked."""

import ctypes

import ray.train.torch
import torch

from ganray.cluster.gpus import unusable_here
from ganray.gan.distributed import rank
from ganray.logs import log_as_json, set_log_context
from ganray.train.context import WorkerContext

# glibc's mallopt(3): what it numbers these, and what older versions take at most for the first
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAX_THRESHOLDS = (1 << 30, 1 << 25)


def prepare_process(context: WorkerContext) -> torch.device:
    """Set allocator, number of threads and GPU of this worker's thread of training, and return its device."""
    keep_freed_memory()
    torch.set_num_threads(max(1, int(context.job.resources.cpus_per_worker)))
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = context.precision != torch.float32
    if not context.job.use_gpu:
        return torch.device("cpu")
    device: torch.device = ray.train.torch.get_device()
    torch.cuda.set_device(device)  # of this thread: what names no index is on this worker's own, too
    return device


def check_gpu() -> None:
    """Raise `ClusterUnusable` unless torch can use the GPU of this worker, whose node may have come after nodes were asked."""
    if not torch.cuda.is_available():
        raise unusable_here(built=torch.backends.cuda.is_built(), version=torch.__version__, field="use_gpu")


def prepare_logs(context: WorkerContext, *, attempt: int) -> None:
    """Have this worker log JSON lines, which say whose they are: to the file that Ray keeps of its standard error."""
    log_as_json()
    set_log_context(run=context.run.folder.removeprefix("runs/"), attempt=attempt, rank=rank())


def keep_freed_memory() -> None:
    """Have this process keep memory that it frees, where its C library is glibc.

    By default glibc returns large blocks to the kernel as soon as they are free. Every step would take its feature maps from
    there again, page by page and cleared: a tenth of its time on CPUs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    if any(mallopt(M_MMAP_THRESHOLD, largest) for largest in MAX_THRESHOLDS):
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
