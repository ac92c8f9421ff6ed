# Built in one stage, run in another that holds neither compilers nor sources nor pip.
#
#     docker build -t cds-service .
#
# The root file system may be mounted read-only: only /data (a volume) and /tmp are written to.
# PYTHON names the base image. Who wants it by digest: --build-arg PYTHON=python:3.12-slim-bookworm@sha256:...
ARG PYTHON=python:3.12-slim-bookworm
FROM ${PYTHON} AS build
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv --without-pip /venv \
 && python -m venv /build \
 && /build/bin/python -m pip --python /venv/bin/python install --no-cache-dir --require-hashes -r requirements/run.txt \
 && /build/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE NOTICE CHANGELOG.md ./
COPY cds_service/ cds_service/
COPY knowledge/ knowledge/
RUN /build/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/python -m pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl \
 && /venv/bin/cds check --quiet

FROM ${PYTHON}
LABEL org.opencontainers.image.title="cds-service" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin cds \
 && install -d -o cds -g cds /data \
 && python -m pip uninstall --yes --root-user-action=ignore pip
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CDS_HOST=0.0.0.0 \
    CDS_PORT=8080 \
    CDS_DATABASE_URL=sqlite:////data/cds.db
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=30s CMD ["python", "-m", "cds_service.server.probe"]
ENTRYPOINT ["cds"]
CMD ["serve"]
