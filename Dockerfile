# The environment of the jobs, in the versions of requirements.txt: docs/containers.md builds and uses it.
FROM python:3.11.14-slim-bookworm
# PyTorch from PyPI brings CUDA. An image without it: --build-arg PIP_EXTRA_INDEX_URL=ADDRESS, from which pip
# takes another build of the same version.
ARG PIP_EXTRA_INDEX_URL=""
WORKDIR /opt/mcvae-ops
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint requirements.txt .
