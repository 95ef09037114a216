# The daemon alone: the base lock and the project's wheel, nothing that only simulates, shows or tests.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/autoscaler && python -m venv --without-pip /opt/builder

# Dependencies first: they change less often than the code, and their layer is kept.
COPY requirements.lock deploy/requirements-build.lock ./
RUN pip --python /opt/autoscaler install --require-hashes --only-binary=:all: --compile -r requirements.lock
RUN pip --python /opt/builder install --require-hashes --only-binary=:all: -r requirements-build.lock

COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY simulations simulations
COPY autoscaler autoscaler
RUN pip --python /opt/builder wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /opt/autoscaler install --no-deps --no-index --compile /wheels/*.whl


FROM python:3.11-slim
# The root filesystem may be read-only, so nothing is compiled on the way; logs are not held back.
ENV PATH=/opt/autoscaler/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin autoscaler
COPY --from=build /opt/autoscaler /opt/autoscaler
# An autoscaler.toml that is mounted here is found; without one the environment is the configuration.
WORKDIR /etc/autoscaler
# By number, so that a platform which refuses root can see that it is not.
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-I", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9275/healthz', timeout=4)"]
ENTRYPOINT ["autoscaler"]
CMD ["run"]
