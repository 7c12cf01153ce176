# The image of web, worker and migrations: the same, with another command (serve, worker, migrate).

FROM python:3.11-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/mainstay
# Only this file, so that the layer is built again only when a version changes.
COPY requirements.txt ./
RUN /opt/mainstay/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement requirements.txt

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 mainstay \
    && useradd --system --uid 10001 --gid mainstay --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mainstay
WORKDIR /srv/mainstay
COPY --from=packages /opt/mainstay /opt/mainstay
COPY scripts/link_checkout.py scripts/
COPY migrations migrations
COPY schemas schemas
COPY service service
COPY jobs jobs
# The files belong to root, so that the service cannot change them; the command is on PATH.
RUN /opt/mainstay/bin/python scripts/link_checkout.py \
    && /opt/mainstay/bin/python -m compileall -q migrations schemas service jobs
ENV PATH=/opt/mainstay/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MAINSTAY_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000
# By number, so that a host can check that it is not root.
USER 10001:10001
EXPOSE 8000
# Whether the web process answers. A worker says in the database that it runs, and /readyz reports it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mainstay"]
CMD ["serve"]
