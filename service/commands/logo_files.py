"""Check the logo that staff upload, and prepare what is stored of it: PNG, WebP, or SVG made safe."""

import hashlib
import io
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from service.domain.campaigns.brand import NewImage, shown_size

if TYPE_CHECKING:
    from PIL.Image import Image

STANDARD_INPUT = Path("-")
MAX_LOGO_BYTES = 200 * 1024
MAX_WIDTH, MAX_HEIGHT = 2000, 1000
TOO_MANY_PIXELS = f"A logo may have at most {MAX_WIDTH} × {MAX_HEIGHT} pixels. Save it smaller."
# Width divided by height.
MIN_RATIO, MAX_RATIO = 1 / 4, 20
# The size of an SVG is only its proportions.
SVG_HEIGHT = 100
# Screens of phones and of many computers have two or more pixels for one of CSS.
PIXEL_RATIO = 2
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
OTHER_TYPES = {
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF file",
    b"\x1f\x8b": "a compressed file (.svgz or .gz)",
    b"BM": "a BMP image",
    b"PK": "a ZIP archive or office document",
}


class LogoRefused(Exception):
    """A file is no logo that can be shown safely; the message says why and what to do."""


@dataclass(frozen=True)
class PreparedLogo:
    """A logo ready to be stored, and what staff should know about it."""

    image: NewImage
    remarks: tuple[str, ...] = ()


def prepare_logo(content: bytes) -> PreparedLogo:
    """Check a file by its content, whatever its name is, and return what to store.

    Images of pixels are decoded and encoded again, which leaves out what is hidden in them, such as comments.

    Raises:
        LogoRefused: it is too large, damaged, animated, empty or of another type.
    """
    if not content:
        raise LogoRefused("The file is empty.")
    if len(content) > MAX_LOGO_BYTES:
        raise LogoRefused(
            f"The file has more than {MAX_LOGO_BYTES // 1024} KB, the most for a logo. Save it smaller or as SVG."
        )
    if content.startswith(PNG_SIGNATURE):
        return _prepare_pixels(content, "PNG")
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _prepare_pixels(content, "WEBP")
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return _prepare_drawing(content)
    kind = next((kind for start, kind in OTHER_TYPES.items() if content.startswith(start)), "no image")
    raise LogoRefused(f"The file is {kind}. A logo must be a PNG, WebP or SVG file.")


def standard_input() -> BinaryIO:
    return sys.stdin.buffer


def read_logo(file: Path) -> bytes:
    """Return the content of a file, or of standard input; only the beginning of one that is too large."""
    if file == STANDARD_INPUT:
        return standard_input().read(MAX_LOGO_BYTES + 1)
    with file.open("rb") as stream:
        return stream.read(MAX_LOGO_BYTES + 1)


def _prepare_drawing(content: bytes) -> PreparedLogo:
    # Only this needs the libraries.
    from resvg_py import svg_to_bytes

    from service.commands.svg_filter import SvgRefused, clean_svg

    try:
        drawing = clean_svg(content)
    except SvgRefused as error:
        raise LogoRefused(f"The SVG file cannot be used. {error}") from error
    _check_ratio(drawing.width, drawing.height)
    width = max(round(SVG_HEIGHT * drawing.width / drawing.height), 1)
    clean = drawing.content(width, SVG_HEIGHT)
    name = _name(clean, width, SVG_HEIGHT, "svg")
    removed = ", ".join(f"{part} ({count})" if count > 1 else part for part, count in drawing.removed.items())
    remarks = [f"Removed from the drawing, because a logo must not have it: {removed}."] if removed else []
    try:
        png = svg_to_bytes(
            svg_string=clean.decode(), width=shown_size(name)[0] * PIXEL_RATIO, skip_system_fonts=True
        )
    except ValueError as error:
        raise LogoRefused(f"The SVG file cannot be drawn: {error}.") from error
    if drawing.has_text:
        remarks.append(
            "It has text in fonts, which looks different on each device and is missing from emails. Convert the "
            "text to paths in your drawing program and upload it again."
        )
    elif _is_invisible(_decode(bytes(png), "PNG")):
        raise LogoRefused(" ".join(["Nothing of this SVG file can be seen.", *remarks]))
    return PreparedLogo(NewImage(name=name, content=clean, email_png=bytes(png)), tuple(remarks))


def _prepare_pixels(content: bytes, kind: str) -> PreparedLogo:
    image = _decode(content, kind)
    _check_ratio(image.width, image.height)
    if _is_invisible(image):
        raise LogoRefused("Every pixel of this image is transparent.")
    # A WebP file that kept every pixel keeps them again.
    encoded = _encode(image, kind, lossless=b"VP8L" in content)
    if len(encoded) > MAX_LOGO_BYTES:
        raise LogoRefused(
            f"Without its compression tricks the image has more than {MAX_LOGO_BYTES // 1024} KB. Save it smaller."
        )
    name = _name(encoded, image.width, image.height, kind.lower())
    shown = shown_size(name)
    sharp = (shown[0] * PIXEL_RATIO, shown[1] * PIXEL_RATIO)
    small = image.copy()
    small.thumbnail(sharp)
    is_blurred = image.width < sharp[0]
    remarks = (
        (f"It has {image.width} × {image.height} pixels and looks blurred on sharp screens. Better: an SVG.",)
        if is_blurred
        else ()
    )
    return PreparedLogo(
        NewImage(name=name, content=encoded, email_png=_encode(small, "PNG", lossless=True)), remarks
    )


def _decode(content: bytes, kind: str) -> "Image":
    """Return the image, decoded and in sRGB.

    Raises:
        LogoRefused: it is too large, damaged or animated.
    """
    # Importing Pillow takes longer than most commands.
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        # Only the header is read yet. For a very large size Pillow warns here, and for a larger one it fails.
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(io.BytesIO(content), formats=[kind])
        if image.width > MAX_WIDTH or image.height > MAX_HEIGHT:
            raise LogoRefused(f"The image has {image.width} × {image.height} pixels. {TOO_MANY_PIXELS}")
        if getattr(image, "n_frames", 1) > 1:
            raise LogoRefused("The image is animated. A logo must stand still; save a single picture.")
        image.load()
    except Image.DecompressionBombError as error:
        raise LogoRefused(TOO_MANY_PIXELS) from error
    except UnidentifiedImageError as error:
        raise LogoRefused(f"The {kind} file is damaged.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise LogoRefused(f"The {kind} file is damaged: {error}.") from error
    return _to_srgb(ImageOps.exif_transpose(image).convert("RGBA"), image.info.get("icc_profile"))


def _to_srgb(image: "Image", profile: bytes | None) -> "Image":
    """Convert colours to those of the web; a profile that cannot be read is ignored, as browsers do."""
    from PIL import ImageCms

    if not profile:
        return image
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        )
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image


def _encode(image: "Image", kind: str, *, lossless: bool) -> bytes:
    from PIL import Image

    # A fresh image has the pixels and nothing else.
    bare = Image.new("RGBA", image.size)
    bare.paste(image)
    output = io.BytesIO()
    if kind == "PNG":
        bare.save(output, "PNG", optimize=True)
    else:
        bare.save(output, kind, lossless=lossless, quality=90, method=6)
    return output.getvalue()


def _is_invisible(image: "Image") -> bool:
    return bool(image.getchannel("A").getextrema() == (0, 0))


def _check_ratio(width: float, height: float) -> None:
    if not MIN_RATIO <= width / height <= MAX_RATIO:
        raise LogoRefused("A logo may be at most 20 times as wide as high, and at most 4 times as high as wide.")


def _name(content: bytes, width: int, height: int, kind: str) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:32]}-{width}x{height}.{kind}"
