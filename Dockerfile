# An image with the command `moodbench`; docs/install.md says how it is used.
#
#   docker build --tag moodbench .                              for CPUs
#   docker build --tag moodbench:cuda --build-arg TORCH=cu132 . for GPUs, several GB larger
#
# Installed in a first stage, so that neither sources nor installers are in the image.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# Which build of PyTorch: cpu, or cu132, which is the CUDA of constraints.txt; uv knows where they are
ARG TORCH=cpu
# Extras of moodbench, such as "clip,onnx"; none by default
ARG EXTRAS=""
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9 && python -m venv --without-pip /opt/moodbench
ENV UV_NO_CACHE=1 UV_TORCH_BACKEND=${TORCH} VIRTUAL_ENV=/opt/moodbench
WORKDIR /source
COPY constraints.txt ./
# The large part first and alone: this layer stays until the version of torch changes
RUN uv pip install --constraint constraints.txt torch torchvision
COPY LICENSE README.md datasets.yaml pyproject.toml ./
COPY moodbench moodbench
RUN uv pip install --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON}-slim
COPY --from=build /opt/moodbench /opt/moodbench
RUN useradd --create-home --uid 1000 moodbench && install --directory --owner=moodbench /bench
ENV PATH=/opt/moodbench/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
# Mount a folder here: data, cache and results lie in it
WORKDIR /bench
ENTRYPOINT ["moodbench"]
CMD ["--help"]
