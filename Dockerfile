# The image of Peral: one binary, no shell, no root. `make image` builds it with docker, podman or buildah.
#
# The stage `build` contains exactly what goes into the image. To use an existing binary, `scripts/image` prepares that folder and replaces the
# stage with it (`--build-context build=FOLDER`). The stages above are then not built.
ARG RUST=1.95.0
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM docker.io/library/rust:${RUST}-bookworm AS compile
# rust-toolchain.toml also lists components that a build does not need.
ARG RUST
ENV RUSTUP_TOOLCHAIN=${RUST} CARGO_TERM_PROGRESS_WHEN=never CARGO_NET_RETRY=5
WORKDIR /src
# The SBOM tool has its own layer, which changes only with the tool's version.
COPY scripts/tool scripts/sbom scripts/
RUN --mount=type=cache,target=/usr/local/cargo/registry scripts/sbom --install
COPY . .
# Compiled dependencies stay in the cache as long as Cargo.lock lists them.
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
# A new named Docker volume copies owner and folders from this path of the image.
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
