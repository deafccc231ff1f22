# taskgan in a container: the command line, a PACS node, or a mercure module. With the CPU build of torch, which PyTorch
# has in an index of its own, or with the CUDA build of the usual one:
#   docker build -t taskgan --build-arg PIP_EXTRA_INDEX_URL=... .
#   docker build -t taskgan:cuda --build-arg TORCH=cuda .
FROM python:3.11-slim

ARG TORCH=cpu
ARG PIP_EXTRA_INDEX_URL=
WORKDIR /opt/taskgan
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docker docker
COPY src src
RUN sh docker/install.sh "$TORCH" && rm -rf src && useradd --create-home --uid 1000 taskgan && mkdir /data && chown taskgan /data

USER taskgan
WORKDIR /data
ENV PYTHONUNBUFFERED=1 MPLBACKEND=agg MPLCONFIGDIR=/tmp
# The node's DICOM port and status page; a node that is called from outside needs "host: 0.0.0.0" in its settings.
EXPOSE 11112 8042
ENTRYPOINT ["python", "/opt/taskgan/docker/entry.py"]
CMD ["--help"]
