# One program, its settings and the certificates; a volume for the database, everything else read-only. The program has
# no commands that play Kommo or build widgets (the feature `tools`).
#   docker run --read-only --volume bridge:/data --publish 8080:8080 --env-file bridge.env salesbot-bridge

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# The dependencies first, under empty crates: this layer is built again only when they change.
# Each crate and target that Cargo.toml names must exist for it to be read.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY crates/kommo/Cargo.toml crates/kommo/
COPY crates/load/Cargo.toml crates/load/
COPY crates/model/Cargo.toml crates/model/
COPY crates/paths/Cargo.toml crates/paths/
COPY crates/simulator/Cargo.toml crates/simulator/
COPY crates/store/Cargo.toml crates/store/
COPY crates/test-log/Cargo.toml crates/test-log/
COPY crates/widget-package/Cargo.toml crates/widget-package/
COPY examples/docker/Cargo.toml examples/docker/
RUN mkdir -p src benches/targets examples/docker/src tests/it tests/process tests/soak \
 && touch examples/greeter.rs examples/lead_lookup.rs examples/slow_backend.rs examples/tested.rs \
 && for crate in crates/*; do mkdir "$crate/src" && echo '//! Empty.' > "$crate/src/lib.rs"; done \
 && echo '//! Empty.' | tee src/lib.rs benches/targets/main.rs tests/it/main.rs tests/process/main.rs tests/soak/main.rs \
    > src/main.rs \
 && echo 'fn main() {}' | tee -a examples/docker/src/main.rs >> src/main.rs \
 && cargo build --release --locked --no-default-features --features cli --bin salesbot-bridge

COPY config config
# The documentation of the library, which its source includes.
COPY docs/writing-handlers.md docs/
COPY migrations migrations
COPY crates crates
COPY src src
# Copied files keep their dates: without this, Cargo would take the empty crates for the newer ones.
RUN touch src/lib.rs src/main.rs crates/*/src/lib.rs \
 && cargo build --release --locked --no-default-features --features cli --bin salesbot-bridge \
 && install -d -m 0750 /data


FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="salesbot-bridge" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

# The HTTP client starts only if it finds certificates to trust.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/config/docker.toml /etc/salesbot-bridge/docker.toml
COPY --from=build /build/target/release/salesbot-bridge /usr/local/bin/salesbot-bridge
COPY --from=build --chown=10001:10001 /data /data

ENV BRIDGE_CONFIG=/etc/salesbot-bridge/docker.toml
# By number, so that a cluster can see that it is not root.
USER 10001:10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["salesbot-bridge", "health"]
ENTRYPOINT ["salesbot-bridge"]
CMD ["serve"]
