# A board in a container: docs/deploy.md.
FROM python:3.12-slim

RUN pip install --no-cache-dir uv \
    && useradd --create-home --uid 1000 lossboard \
    && install --directory --owner=lossboard --mode=0700 /data /app

USER lossboard
WORKDIR /app
COPY --chown=lossboard . .
RUN uv sync --no-dev --no-cache

ENV LOSSBOARD_HOST=0.0.0.0 \
    LOSSBOARD_DIR=/data \
    LOSSBOARD_BROWSER=false
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=30s \
    CMD [".venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/api/health', timeout=3)"]
CMD [".venv/bin/lossboard"]
