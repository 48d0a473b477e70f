"""What compiled libraries say of themselves: devices, instructions, threads, BLAS, HDF5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moodbench.diagnosis.children import Child
from moodbench.diagnosis.findings import Finding
from moodbench.diagnosis.words import plain
from moodbench.sizes import human_bytes

SECTION = "libraries"

SECONDS = 120.0
"""The first import of torch after it was installed, on a slow disk, takes longer than any other."""

ASKED = ("torch", "h5py", "numpy")


def begin() -> dict[str, Child]:
    """Start to ask all of them, while others are checked here."""
    return {name: Child("ask_libraries.py", name, seconds=SECONDS) for name in ASKED}


def check(children: Mapping[str, Child]) -> Iterator[Finding]:
    """Yield what they answered."""
    answers = {name: child.answer() for name, child in children.items()}
    for name, (_, fault) in answers.items():
        if fault and children[name].late:
            problem = f"importing {name}: {fault}, so that nothing is known of it"
            fix = "run it once more: the first import after an installation is the slowest; is the disk a slow one?"
            yield Finding(SECTION, name, None, fault, "warning", problem, fix)
        elif fault:
            problem = f"{name} cannot be imported: {fault}"
            yield Finding(SECTION, name, None, "cannot be imported", "broken", problem, f"pip install -U {name}")
    torch, h5py, numpy = (answers[name][0] for name in ASKED)
    if torch:
        yield from about_torch(torch)
    if h5py:
        yield Finding(SECTION, "HDF5", h5py["hdf5"])
    if numpy:
        blas = " ".join(str(numpy[key]) for key in ("blas", "blas_version") if numpy.get(key))
        yield Finding(SECTION, "BLAS of NumPy", blas or None)


def about_torch(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what a torch that can be imported says."""
    built = found["cuda_build"] or found["hip_build"]
    kind = f"for CUDA {found['cuda_build']}" if found["cuda_build"] else f"for ROCm {built}" if built else "for CPUs"
    yield Finding(SECTION, "torch", found["version"], f"{found['version']}, built {kind}")
    fault = found["torchvision_error"]
    if fault:
        problem = f"torchvision cannot be imported: {plain(fault)}"
        fix = (
            "install torch and torchvision together, of releases that belong together: pip install -U torch torchvision"
        )
        yield Finding(SECTION, "torchvision", None, "cannot be imported", "broken", problem, fix)
    devices = found["devices"]
    names = [f"{one['name']} ({human_bytes(one['bytes'])}, {one['capability']})" for one in devices]
    text = "; ".join(names) or "none"
    if found["cuda_error"]:
        problem = f"the GPU cannot be used: {plain(found['cuda_error'])}"
        fix = "update its driver, or install a torch that was built for it; until then, --device cpu"
        yield Finding(SECTION, "GPUs", devices, text, "warning", problem, fix)
    elif built and not devices:
        problem = f"torch is built {kind}, but finds no device: everything runs on the CPU"
        fix = (
            "nvidia-smi says whether the driver sees one; a container needs --gpus all, a job has to ask for one, "
            "CUDA_VISIBLE_DEVICES may hide it. Where there is none, PyTorch's CPU wheels take much less disk"
        )
        yield Finding(SECTION, "GPUs", devices, text, "warning", problem, fix)
    else:
        yield Finding(SECTION, "GPUs", devices, text)
    if found.get("cudnn"):
        yield Finding(SECTION, "cuDNN", found["cudnn"])
    if found["mps"]:
        yield Finding(SECTION, "MPS", True, "there; moodbench does not use it, and computes on the CPU")
    yield Finding(SECTION, "CPU instructions of torch", found["capability"])
    yield Finding(SECTION, "threads of torch", found["threads"])
    yield Finding(SECTION, "MKL in torch", found["mkl"])
