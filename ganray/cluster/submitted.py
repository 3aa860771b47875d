"""The Ray job that this process is the driver of, if it is one: its status message, which Ray's dashboard and `ganray jobs list` show."""

import json
import os
from typing import Any

from ganray.errors import without_credentials

CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray for the driver of a submitted job
TIMEOUT_S = 2.0


def own_job_id() -> str | None:
    """Return the id by which this driver was submitted, None for one that was not."""
    config: dict[str, Any] = json.loads(os.environ.get(CONFIG) or "{}")
    found = (config.get("metadata") or {}).get("job_submission_id")
    return str(found) if found else None


def show_status(message: str) -> None:
    """Make a message that of the job, while it runs and Ray answers; a failure to do so is no one's concern."""
    if (job_id := own_job_id()) is None:
        return
    import ray
    from ray.dashboard.modules.job.common import JobInfoStorageClient
    from ray.exceptions import RayError

    if not ray.is_initialized():
        return
    key, namespace = JobInfoStorageClient.JOB_DATA_KEY.format(job_id=job_id).encode(), ray._private.ray_constants.KV_NAMESPACE_JOB
    worker: Any = ray._private.worker.global_worker
    store = worker.gcs_client
    try:
        stored = store.internal_kv_get(key, namespace=namespace, timeout=TIMEOUT_S)
        details = json.loads(stored) if stored else {}
        if details.get("status") == "RUNNING":
            changed = json.dumps({**details, "message": without_credentials(message)}).encode()
            store.internal_kv_put(key, changed, overwrite=True, namespace=namespace, timeout=TIMEOUT_S)
    except (RayError, OSError, RuntimeError, ValueError):
        return
