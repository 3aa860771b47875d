"""Checks of KubeRay's objects against its published schemas, and against rules of its operator that the schemas do not have."""

import json
import lzma
import re
from pathlib import Path
from typing import Any

import jsonschema

CRDS = json.loads(lzma.decompress((Path(__file__).parents[1] / "submission/kuberay/crds-v1.7.0.json.xz").read_bytes()))


def problems(manifest: dict[str, Any]) -> list[str]:
    """Return what KubeRay's schema has against an object, unknown fields included, which an API server would silently drop."""
    validator = jsonschema.Draft202012Validator(closed(CRDS[manifest["kind"]]))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(manifest)]


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that allows no other fields than it names, but for metadata and where it says so."""
    inner = {
        key: {name: closed(below) for name, below in value.items()}
        if key == "properties"
        else closed(value)
        if key in ("items", "additionalProperties") and isinstance(value, dict)
        else value
        for key, value in schema.items()
    }
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    return inner | {"additionalProperties": False} if schema.get("properties") and not is_open else inner


def operator_problems(manifest: dict[str, Any]) -> list[str]:
    """Return what KubeRay's operator (validation.go of v1.7.0) would refuse beyond the schema, as far as manifests here could break it."""
    spec = manifest["spec"]
    cluster = spec.get("rayClusterSpec") or spec["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    is_v2 = cluster.get("autoscalerOptions", {}).get("version") == "v2"
    found = {
        "name": not re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", manifest["metadata"]["name"]),
        "a token needs rayVersion": cluster.get("authOptions", {}).get("mode") == "token" and "rayVersion" not in cluster,
        "K8s tokens": "enableK8sTokenAuth" in cluster.get("authOptions", {}),
        "restartPolicy": is_v2 and any(group["template"]["spec"].get("restartPolicy", "Never") != "Never" for group in groups),
        "replicas": any(group["minReplicas"] > group["maxReplicas"] for group in groups[1:]),
        "ttl without shutdown": spec.get("ttlSecondsAfterFinished", 0) > 0 and not spec.get("shutdownAfterJobFinishes"),
        "retries of an interactive job": spec.get("backoffLimit", 0) > 0 and spec.get("submissionMode") == "InteractiveMode",
    }
    return [name for name, is_broken in found.items() if is_broken]
