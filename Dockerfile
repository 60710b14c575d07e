# syntax=docker/dockerfile:1
# The pipeline with all that uv.lock pins, for tasks of Kubeflow and Vertex and for Beam's workers.
# Nothing is taken but the lock, the sources below, and the base; docs/orchestrators.md builds it.
# By digest; `docker buildx imagetools inspect python:3.11-slim-bookworm` tells a newer one.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

ENV PATH=/opt/mvlift/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=1 \
    MPLCONFIGDIR=/home/mvlift/.matplotlib \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never

WORKDIR /opt/mvlift

# The one that scripts/setup.sh installs, too.
COPY scripts/uv.txt ./scripts/
RUN python -m pip install --no-cache-dir --require-hashes --requirement scripts/uv.txt

COPY pyproject.toml uv.lock .python-version README.md LICENSE ./
COPY pipeline/pyproject.toml ./pipeline/
RUN uv sync --frozen --no-default-groups --package keras-mvlift-pipeline --extra kubeflow \
    --no-install-workspace

COPY keras_mvlift ./keras_mvlift
COPY components ./components
COPY pipeline ./pipeline
RUN uv sync --frozen --no-default-groups --package keras-mvlift-pipeline --extra kubeflow \
    --no-editable \
    && useradd --create-home --uid 1000 mvlift

# By number, which a cluster can hold against its rules.
USER 1000
WORKDIR /home/mvlift

# Tasks name their command themselves; by itself the image runs the pipeline on one machine.
ENTRYPOINT ["python"]
CMD ["-m", "pipeline.local", "--help"]
