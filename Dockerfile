# tandem serve, or any other command, as an image: docs/deploy.md has how it is run. The last stage is the package in a
# clean Debian; packaging/root_linux_test.go does its steps without Docker.

FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates dpkg-dev git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make dist TAGS=nocamera

FROM debian:12-slim
COPY --from=build /src/build/dist/*.deb /tmp/package/
RUN apt-get update \
    && apt-get install -y --no-install-recommends /tmp/package/*.deb \
    && rm -rf /tmp/package /var/lib/apt/lists/*
USER 65532:65532
EXPOSE 8080/tcp 3479/udp
HEALTHCHECK --interval=30s --timeout=5s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"]
ENTRYPOINT ["tandem"]
# It wants TANDEM_TOKEN, or --allow-anonymous.
CMD ["serve", "--addr", "0.0.0.0:8080", "--udp-port", "3479", "--log-json"]
