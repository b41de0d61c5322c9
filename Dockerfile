# syntax=docker/dockerfile:1
# One image for the API, the worker and the migrations:
#   docker run ... tendays            the API (the default)
#   docker run ... tendays worker     the worker
#   docker run ... tendays migrate    bring the database up to date
# It brings no secret and starts no database: set TENDAYS_DATABASE_URL and what docs/ lists for operators.

FROM python:3.13-slim AS builder
WORKDIR /build
COPY requirements.lock ./
# Every file is checked against its hash here; from then on only these files are installed.
RUN pip download --quiet --no-cache-dir --require-hashes --dest /wheels -r requirements.lock
COPY pyproject.toml ./
COPY app app
COPY migrations migrations
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
RUN python -m venv /opt/tendays && /opt/tendays/bin/pip install --quiet --no-cache-dir .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tendays \
    && install -d -o tendays -g tendays -m 0700 /var/lib/tendays
COPY --from=builder /opt/tendays /opt/tendays
ENV PATH=/opt/tendays/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TENDAYS_ENV=production \
    TENDAYS_HOST=0.0.0.0 \
    TENDAYS_PORT=8000 \
    TENDAYS_DATA_DIR=/var/lib/tendays
WORKDIR /var/lib/tendays
USER tendays
EXPOSE 8000
# A worker has no port: give it its own check, or run it with --no-healthcheck.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["tendays", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tendays"]
CMD ["api"]
