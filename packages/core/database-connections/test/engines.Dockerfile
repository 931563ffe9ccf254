# Every Debian-packaged engine in one image, for tests that need a real server or its own parser and must not wait for the
# images of the stack: PostgreSQL 17, PgBouncer, MariaDB, Redis, RabbitMQ, with their clients, openssl for certificates, and curl and PyYAML as readers of netrc and YAML.
# Tests build it when it is missing (test/engines.ts); nothing but tests may use it.
#   docker build -t devstack-test/engines:local -f packages/core/database-connections/test/engines.Dockerfile packages/core/database-connections/test
ARG BASE_IMAGE=devstack/base:local
FROM ${BASE_IMAGE}
ENV DEBIAN_FRONTEND=noninteractive
# No service may start, and no default cluster may be made, while the packages are set up.
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod 0755 /usr/sbin/policy-rc.d && \
    mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends \
      postgresql-17 pgbouncer mariadb-server redis-server rabbitmq-server openssl curl python3-yaml && \
    rm -rf /var/lib/apt/lists/* /var/log/*
ENV PATH=/usr/lib/postgresql/17/bin:/usr/lib/rabbitmq/bin:$PATH
