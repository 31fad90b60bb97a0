# One stage fetches a font for Hangul, one installs the locked wheels; the last takes what became of them, no tool.
FROM python:3.13-slim AS fonts
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-nanum

FROM python:3.13-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
WORKDIR /srv
# The service and its extras: the same image is the service, the cluster's scheduler and its workers.
COPY requirements-image.txt .
RUN python -m venv --without-pip venv \
    && python -m pip --python venv/bin/python install \
        --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-image.txt \
    # What nothing here uses: the libraries' own tests, what is there for compilers, type checkers and debuggers, and
    # the parts of Dask, Numba and NumPy that nothing imports.
    && find venv -type d \( -name tests -o -name test \) -prune -exec rm -r {} + \
    && find venv -type f \( -name '*.[ach]' -o -name '*.[ch]pp' -o -name '*.p[xy][dxi]' \) -delete \
    && (cd venv/lib/python3.*/site-packages \
        && rm -r dask/array dask/bag dask/dataframe numba/cuda numpy/f2py numpy/_core/include) \
    && find venv -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} +
COPY app app
# The file system is read-only when the service runs, so its bytecode is written here, and its loops are compiled:
# for the processor that builds the image; on another kind each process compiles what it uses.
RUN venv/bin/python -m compileall -q app && venv/bin/python -m app.core

FROM python:3.13-slim
WORKDIR /srv
# For Korean words in PNG pictures; the others' fonts come with what draws them.
COPY --from=fonts /usr/share/fonts/truetype/nanum/NanumSquareR.ttf /usr/share/fonts/truetype/nanum/NanumSquareB.ttf \
    /usr/share/fonts/
COPY --from=build /srv/venv venv
COPY --from=build /srv/app app
ENV PATH=/srv/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes' runAsNonRoot can tell; of no account, so that it owns nothing.
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# Arguments of `docker run` follow: --workers 4, for one.
ENTRYPOINT ["python", "-m", "app", "--host", "0.0.0.0"]
