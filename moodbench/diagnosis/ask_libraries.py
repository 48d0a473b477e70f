"""Run as a script: what a compiled library says of itself, as JSON. What it prints meanwhile comes before.

The version of a distribution says nothing of whether its library can be loaded here, nor what it was built for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def _torch() -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {
        "version": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cuda_build": torch.version.cuda,
        "hip_build": torch.version.hip,
        "mps": torch.backends.mps.is_available(),
        "mkl": torch.backends.mkl.is_available(),  # type: ignore[no-untyped-call]
        "devices": [],
        "cuda_error": "",
    }
    try:
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            found["devices"].append(
                {"name": about.name, "bytes": about.total_memory, "capability": f"{about.major}.{about.minor}"}
            )
        if found["devices"]:  # a driver that is too old for the build is noticed here
            torch.zeros(8, device="cuda").sum().item()
            found["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    except Exception as error:
        found["cuda_error"] = f"{type(error).__name__}: {error}"
    try:
        import torchvision

        found["torchvision"] = torchvision.__version__
        found["torchvision_error"] = ""
    except Exception as error:
        found["torchvision_error"] = f"{type(error).__name__}: {error}"
    return found


def _h5py() -> dict[str, Any]:
    import h5py

    return {"version": h5py.__version__, "hdf5": h5py.version.hdf5_version}


def _numpy() -> dict[str, Any]:
    import numpy

    built: Any = numpy.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return {"version": numpy.__version__, "blas": blas.get("name"), "blas_version": blas.get("version")}


ASK: dict[str, Callable[[], dict[str, Any]]] = {"torch": _torch, "h5py": _h5py, "numpy": _numpy}

if __name__ == "__main__":
    json.dump(ASK[sys.argv[1]](), sys.stdout)
