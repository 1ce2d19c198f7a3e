# The base images are named by tag, so that a build takes Node's newest fixes. For builds that repeat exactly, add a digest.
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 NODE_COMPILE_CACHE=/app/cache
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY . .
RUN mkdir --mode=700 data cache && chown node:node data cache
USER node
# A first start fills the compile cache, which Node keeps for each user. A program that does not start makes no image.
RUN DATABASE_URL=file::memory: timeout --preserve-status 10 node --expose-gc --import ./server/check-node.js server/index.ts
VOLUME /app/data
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# As `npm start` does, without npm between the service and the signals.
CMD ["node", "--expose-gc", "--import", "./server/check-node.js", "server/index.ts"]
