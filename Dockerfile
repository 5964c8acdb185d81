# Two targets: `server` runs in every bank's pod, `platform` is operator, gateway, control and the migrations.
# BASE brings Node.js 26 at /usr/local/bin/node; where there is no registry, `make images` makes one of Debian packages.
# Before: npm ci && npm run bundle.
ARG BASE=docker.io/library/node:26-bookworm-slim

# Starts the server once and keeps the code that V8 made of it. As in the pod: user, path and options are part of the cache's key.
FROM ${BASE} AS warm
COPY dist/server.cjs dist/warm.cjs /app/
USER 65532:65532
WORKDIR /app
ENV NODE_ENV=production NODE_COMPILE_CACHE=/tmp/compile-cache
RUN ["/usr/local/bin/node", "--max-semi-space-size=2", "--max-old-space-size=48", "/app/warm.cjs", "/app/server.cjs"]

FROM ${BASE} AS server
# There are thousands of these pods, mostly at rest: a small heap, and memory given back after a burst (server/src/rest.ts). Most
# other options of V8 would make it refuse the compiled code that Node brings along: 20 ms of a start.
ENV NODE_ENV=production MALLOC_ARENA_MAX=1 NODE_COMPILE_CACHE=/app/compile-cache
COPY dist/server.cjs /app/server.cjs
COPY --from=warm --chown=65532:65532 /tmp/compile-cache /app/compile-cache
USER 65532:65532
WORKDIR /app
CMD ["/usr/local/bin/node", "--max-semi-space-size=2", "--max-old-space-size=48", "/app/server.cjs"]

FROM ${BASE} AS platform
ENV NODE_ENV=production
COPY dist/operator.mjs dist/gateway.mjs dist/control.mjs dist/migrate.mjs dist/databases.mjs /app/
COPY migrations /app/migrations
USER 65532:65532
WORKDIR /app
CMD ["/usr/local/bin/node", "/app/operator.mjs"]
