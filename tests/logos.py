"""Logo files for tests: drawings, and images of pixels made by Pillow."""

import io
import struct
import zlib
from typing import Any

from PIL import Image

SHAPE = '<path fill="#b00" d="M0 0h64v16H0z"/>'
DRAWING = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 16">{SHAPE}</svg>'.encode()


def drawing(inside: str, attributes: str = 'viewBox="0 0 64 16"') -> bytes:
    """Return a drawing with a visible shape, and this beside it."""
    xlink = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {xlink} {attributes}>{SHAPE}{inside}</svg>'.encode()


def pixels(
    kind: str = "PNG", size: tuple[int, int] = (640, 160), colour: Any = (180, 0, 0, 255), **options: Any
) -> bytes:
    output = io.BytesIO()
    Image.new("RGBA", size, colour).save(output, kind, **options)
    return output.getvalue()


def animation(kind: str) -> bytes:
    output = io.BytesIO()
    frames = [Image.new("RGBA", (64, 16), (shade, 0, 0, 255)) for shade in (0, 128, 255)]
    frames[0].save(output, kind, save_all=True, append_images=frames[1:], duration=100)
    return output.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """Return a small PNG file whose header says that it has so many pixels: a decompression bomb."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
