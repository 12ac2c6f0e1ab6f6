# The gateway in a container: one program, no shell needed, no root, nothing written but state_dir (if you set one).
#
#   docker build -t metaconsole .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8080-8086:8080-8086 metaconsole demo --listen 0.0.0.0

# The image has the C compiler that the encryption library needs.
FROM rust:1-slim-bookworm AS builder
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY assets assets
COPY templates templates
COPY src src
RUN cargo build --release --locked --bin metaconsole

FROM debian:bookworm-slim
# Public authorities, for sites with public certificates.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir --mode=0700 /var/lib/metaconsole \
 && chown 65532:65532 /var/lib/metaconsole
COPY --from=builder /build/target/release/metaconsole /usr/local/bin/metaconsole
USER 65532:65532
WORKDIR /etc/metaconsole
EXPOSE 8080
# It drains on SIGTERM, for at most 10 s: as long as `docker stop` waits, so let it wait a little longer.
STOPSIGNAL SIGTERM
ENTRYPOINT ["metaconsole"]
CMD ["serve", "--config", "/etc/metaconsole/sites.yaml"]
