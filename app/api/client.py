"""The client and its package of extras, for scripts to fetch."""

import functools
import io
import zipfile
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse

import lossboard
import lossboard_extras

_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same package is the same archive


def add_client(app: FastAPI) -> None:
    """Serve /lossboard.py and /lossboard_extras.zip."""

    @app.get("/lossboard.py", include_in_schema=False)
    def client() -> FileResponse:
        return FileResponse(lossboard.__file__, media_type="text/x-python")

    @app.get("/lossboard_extras.zip", include_in_schema=False)
    def extras() -> Response:
        return Response(packed_extras(), media_type="application/zip")


@functools.cache
def packed_extras() -> bytes:
    """The package lossboard_extras as an archive that Python can import from."""
    folder = Path(lossboard_extras.__file__).parent
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder.parent).as_posix()
            archive.writestr(zipfile.ZipInfo(name, _DATE), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return file.getvalue()
