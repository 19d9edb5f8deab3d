# The image of Peral: one binary, no shell, no root. `make image` builds it with docker, podman or buildah.
#
# The stage `build` holds just what goes into the image: the folder that `scripts/image` stages from a binary that is there already stands
# in for it (`--build-context build=FOLDER`), and then nothing above it is built.
ARG RUST=1.95.0
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM docker.io/library/rust:${RUST}-bookworm AS compile
# rust-toolchain.toml also names components that only people need.
ARG RUST
ENV RUSTUP_TOOLCHAIN=${RUST} CARGO_TERM_PROGRESS_WHEN=never CARGO_NET_RETRY=5
WORKDIR /src
# The tool for the list of parts is a layer of its own: it changes with its version only.
COPY scripts/tool scripts/sbom scripts/
RUN --mount=type=cache,target=/usr/local/cargo/registry scripts/sbom --install
COPY . .
# The dependencies that were compiled once stay in the cache, for as long as Cargo.lock names them.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p peral && scripts/image --stage target/release/peral /out

FROM scratch AS build
COPY --from=compile /out/ /

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="peral" \
      org.opencontainers.image.description="A peer-to-peer network for files with a central catalogue: central, peers and commands in one binary" \
      org.opencontainers.image.source="https://github.com/peral/peral" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /peral /usr/local/bin/peral
COPY --from=build /sbom.cdx.json /usr/share/doc/peral/sbom.cdx.json
COPY LICENSE NOTICE /usr/share/doc/peral/
# A new named volume of Docker's takes its owner and folders from what the image has in its place.
COPY --from=build --chown=65532:65532 /folders/peral/ /peral/
COPY --from=build --chown=65532:65532 /folders/central/ /var/lib/peral/
ENV PERAL_DATA=/peral/data
ENV PERAL_SHARE=/peral/files
ENV PERAL_CENTRAL_DATA=/var/lib/peral
USER 65532:65532
WORKDIR /peral/files
# central · peer · probes and metrics
EXPOSE 7070 7071 7079
ENTRYPOINT ["/usr/local/bin/peral"]
