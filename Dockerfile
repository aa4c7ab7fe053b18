# The web page and the HTTP service, with mlnet-mini inside; at run time they ask no other machine for anything. From the
# root of a checkout:
#   docker build --target demo -t mlnet-demo . && docker run --rm -p 7860:7860 mlnet-demo
#   docker build --target serve -t mlnet-serve . && docker run --rm -p 8000:8000 mlnet-serve
FROM python:3.11-slim AS wheel
COPY . /src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /src

FROM python:3.11-slim AS base
RUN useradd --create-home mlnet
WORKDIR /home/mlnet
COPY --from=wheel /wheels /wheels
ENV HF_HUB_OFFLINE=1 PIP_NO_CACHE_DIR=1 PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

FROM base AS demo
RUN pip install "$(ls /wheels/*.whl)[demo]"
COPY demo app
USER mlnet
ENV MODEL_ID=mini GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_ANALYTICS_ENABLED=False
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/')"]
CMD ["python", "app/app.py"]

FROM base AS serve
RUN pip install "$(ls /wheels/*.whl)[serve]"
USER mlnet
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["mlnet", "serve", "--host", "0.0.0.0"]
