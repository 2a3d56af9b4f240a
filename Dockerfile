# syntax=docker/dockerfile:1
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    install -D "$(deploy/build)" /out/lastgood && install -d /out/data

# glibc, libgcc and the certificates that TLS needs; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/lastgood /usr/local/bin/lastgood
# The embedded database lives here; owned by the user below, as a new volume inherits.
COPY --from=build --chown=nonroot:nonroot /out/data /data
VOLUME /data
WORKDIR /data
USER nonroot:nonroot
EXPOSE 8080
# Finishes or hands over what it is doing, then ends.
STOPSIGNAL SIGTERM
# It asks itself: the image has no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/local/bin/lastgood", "health"]
ENTRYPOINT ["/usr/local/bin/lastgood"]
CMD ["serve"]
