"""Logos that staff upload: what is refused and why, and what is stored of the others."""

import io
import zlib

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from service.commands.logo_files import MAX_LOGO_BYTES, LogoRefused, prepare_logo
from tests.logos import DRAWING, animation, drawing, pixels, png_that_claims


def refusal(content: bytes) -> str:
    with pytest.raises(LogoRefused) as caught:
        prepare_logo(content)
    return str(caught.value)


def stored(content: bytes) -> str:
    return prepare_logo(content).image.content.decode()


def decoded(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (b"Just text, whatever its name is.", "The file is no image. A logo must be a PNG, WebP or SVG file."),
        (b"\xff\xd8\xff\xe0JFIF", "The file is a JPEG image. A logo must be a PNG, WebP or SVG file."),
        (b"GIF89a", "The file is a GIF image."),
        (b"\x1f\x8b\x08", "The file is a compressed file (.svgz or .gz)."),
        (b"<html><body>No</body></html>", 'Its root is not <svg xmlns="http://www.w3.org/2000/svg">.'),
        (b'<svg viewBox="0 0 1 1"/>', 'Its root is not <svg xmlns="http://www.w3.org/2000/svg">.'),
        (b"<svg", "not readable as XML"),
        (DRAWING.replace(b"#b00", b"\xff"), "It is not in UTF-8."),
        (DRAWING.decode().encode("utf-16"), "The file is no image."),
        (bytes(MAX_LOGO_BYTES + 1), "The file has more than 200 KB"),
        (pixels()[:-200], "The PNG file is damaged"),
        (pixels("WEBP")[:-60], "The WEBP file is damaged"),
        (pixels()[:60], "The PNG file is damaged"),
        (pixels()[:8] + b"\xff\xd8\xff" * 100, "The PNG file is damaged."),
        (pixels(size=(2001, 200)), "The image has 2001 × 200 pixels. A logo may have at most 2000 × 1000 pixels."),
        (png_that_claims(2000, 1001), "A logo may have at most 2000 × 1000 pixels."),
        (png_that_claims(10_000, 10_000), "A logo may have at most 2000 × 1000 pixels."),
        (png_that_claims(60_000, 60_000), "A logo may have at most 2000 × 1000 pixels."),
        (animation("PNG"), "The image is animated."),
        (animation("WEBP"), "The image is animated."),
        (pixels(colour=(0, 0, 0, 0)), "Every pixel of this image is transparent."),
        (pixels(size=(2000, 50)), "A logo may be at most 20 times as wide as high"),
        (pixels(size=(50, 300)), "and at most 4 times as high as wide."),
    ],
)  # fmt: skip
def test_file_that_is_no_logo_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    assert reason in refusal(content)


def test_bomb_in_a_text_chunk_is_not_unpacked() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000), 9))
    content = pixels(pnginfo=chunks)
    assert len(content) < MAX_LOGO_BYTES
    assert "The PNG file is damaged" in refusal(content)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_pixels_are_stored_again_without_what_is_hidden_in_them(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Taken at the secret place"
    logo = prepare_logo(pixels(kind, exif=exif.tobytes()))
    assert logo.remarks == ()
    assert b"secret place" not in logo.image.content
    assert logo.image.name.endswith(f"-640x160.{kind.lower()}")
    image = decoded(logo.image.content)
    assert (image.format, image.size) == (kind, (640, 160))
    assert image.convert("RGB").getpixel((300, 80)) == pytest.approx((180, 0, 0), abs=4)


def test_lossless_webp_keeps_every_pixel() -> None:
    content = pixels("WEBP", colour=(181, 3, 7, 200), lossless=True)
    assert decoded(prepare_logo(content).image.content).convert("RGBA").getpixel((9, 9)) == (181, 3, 7, 200)


def test_copy_for_emails_is_a_png_of_twice_the_size_shown() -> None:
    for content in (pixels(size=(1000, 400)), pixels("WEBP", size=(1000, 400)), drawing("")):
        copy = decoded(prepare_logo(content).image.email_png)
        assert (copy.format, copy.height) == ("PNG", 112)


def test_colours_are_converted_to_those_of_the_web() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    assert decoded(prepare_logo(pixels(icc_profile=lab.tobytes())).image.content).info.get("icc_profile") is None
    assert prepare_logo(pixels(icc_profile=b"not a profile"))


def test_small_image_is_said_to_look_blurred() -> None:
    [remark] = prepare_logo(pixels(size=(100, 25))).remarks
    assert remark == "It has 100 × 25 pixels and looks blurred on sharp screens. Better: an SVG."


def test_plain_drawing_is_kept() -> None:
    logo = prepare_logo(DRAWING)
    assert (logo.remarks, logo.image.name[-12:]) == ((), "-400x100.svg")
    assert logo.image.content.decode() == (
        '<svg viewBox="0 0 64 16" xmlns="http://www.w3.org/2000/svg" width="400" height="100">'
        '<path fill="#b00" d="M0 0h64v16H0z" /></svg>'
    )
    assert prepare_logo(logo.image.content).image == logo.image


def test_what_draws_is_kept() -> None:
    inside = (
        '<defs><linearGradient id="g"><stop offset="0" stop-color="#f00"/></linearGradient>'
        '<clipPath id="c"><circle r="4"/></clipPath><path id="p" d="M0 0h1v1z"/></defs>'
        "<style>/* plain */ .a{fill:url(#g)} @media (prefers-color-scheme: dark){.a{fill:#fff}}</style>"
        '<g clip-path="url(#c)" transform="scale(2)"><path class="a" style="fill:url(\'#g\')" d="M1 1h2v2z"/>'
        '<use xlink:href="#p" x="3"/></g><title>The Lantern</title>'
    )
    logo = prepare_logo(drawing(inside))
    assert logo.remarks == ()
    content = logo.image.content.decode()
    assert '<use href="#p" x="3" />' in content
    for kept in ("linearGradient", "clipPath", "url(#c)", "@media", "scale(2)", "The Lantern"):
        assert kept in content


@pytest.mark.parametrize(
    ("inside", "removed"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ('<script xlink:href="https://evil.example/x.js"/>', "<script>"),
        ('<path onclick="alert(1)" d="M0 0"/>', "onclick"),
        ('<path OnLoad="alert(1)" d="M0 0"/>', "OnLoad"),
        ('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">Hi</p></foreignObject>', "<foreignObject>"),
        ('<iframe xmlns="http://www.w3.org/1999/xhtml" src="https://evil.example"/>', "<iframe>"),
        ('<image href="https://evil.example/t.png" width="9" height="9"/>', "<image>"),
        ('<image href="data:image/png;base64,iVBORw0KGgo=" width="9" height="9"/>', "<image>"),
        ('<use href="https://evil.example/x.svg#a"/>', "href"),
        ('<use xlink:href="other.svg#a"/>', "href"),
        ('<use href="data:image/svg+xml,%3Csvg/%3E#a"/>', "href"),
        ('<a href="javascript:alert(1)"><path d="M0 0"/></a>', "href, <a>"),
        ('<path fill="url(https://evil.example/#a)" d="M0 0"/>', "fill"),
        ('<path fill="URL( //evil.example/#a )" d="M0 0"/>', "fill"),
        ('<path fill="url(#a) url(x.svg#b)" d="M0 0"/>', "fill"),
        ('<path style="fill:url(//evil.example/a)" d="M0 0"/>', "style"),
        (r'<path style="fill:u\72l(//evil.example/a)" d="M0 0"/>', "style"),
        ('<path style="background:image-set(\'a.png\' 1x)" d="M0 0"/>', "style"),
        ('<animate attributeName="href" values="javascript:alert(1)"/>', "<animate>"),
        ('<set attributeName="x" to="1"/>', "<set>"),
        ('<handler xmlns="http://www.w3.org/2001/xml-events"/>', "<handler>"),
        ("<feImage/>", "<feImage>"),
        ('<g id="a"><use href="#b"/></g><g id="b"><path d="M0 0"/></g><use href="#a"/>', "<use>"),
        ('<g id="a"><use href="#a"/></g>', "<use>"),
    ],
)
def test_what_is_not_drawn_or_not_safe_is_removed_and_named(inside: str, removed: str) -> None:
    logo = prepare_logo(drawing(inside))
    assert logo.remarks == (f"Removed from the drawing, because a logo must not have it: {removed}.",)
    content = logo.image.content.decode().lower()
    for unsafe in ("script", "alert", "evil.example", "data:", "onload", "onclick", "foreignobject", "other.svg"):
        assert unsafe not in content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (drawing("<style>@import url(https://evil.example/a.css);</style>"), "Its <style> has @import"),
        (drawing("<style>@font-face{src:local(x)}</style>"), "Its <style> has @font-face"),
        (drawing("<style>.a{fill:url(https://evil.example/)}</style>"), "Its <style> has url("),
        (drawing("<style>.a{fill:u\\72 l(x)}</style>"), "Its <style> has \\"),
        (drawing("<style>.a{fill:ur/**/l(x)} .b{background:src('x')}</style>"), "Its <style> has "),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + drawing("&a;"), "It defines entities"),
        (b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + drawing("&a;"), "It defines entities"),
        (drawing("&unknown;"), "not readable as XML"),
        (drawing("", ""), "It has no size: give <svg> a viewBox"),
        (drawing("", 'viewBox="0 0 0 5"'), "Its size is zero."),
        (drawing("", 'viewBox="0 0 nan 5"'), "It has no size"),
        (drawing("", 'width="100%" height="100%"'), "It has no size"),
        (drawing("", 'viewBox="0 0 99 1"'), "A logo may be at most 20 times as wide as high"),
        (drawing("<g>" * 100 + "</g>" * 100), "or more than 60 inside one another."),
        (drawing("<g/>" * 6000), "It has more than 5000 parts"),
        (DRAWING.replace(b"M0 0h64v16H0z", b""), "Nothing of this SVG file can be seen."),
        (DRAWING.replace(b"path", b"image"), "must not have it: <image>."),
    ],
)
def test_drawing_that_cannot_be_made_safe_is_refused(content: bytes, reason: str) -> None:
    assert reason in refusal(content)


def test_size_without_a_view_box_becomes_one() -> None:
    assert 'viewBox="0 0 320 64"' in stored(drawing("", 'width="320px" height="64"'))


def test_editor_data_is_left_out_without_a_word() -> None:
    doctype = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    inkscape = (
        '<metadata>by me</metadata><sodipodi:namedview xmlns:sodipodi="http://sodipodi.example" '
        'xmlns:inkscape="http://inkscape.example" inkscape:zoom="3"/><!-- Drawn by me -->'
    )
    logo = prepare_logo(doctype + drawing(inkscape))
    assert logo.remarks == ()
    content = logo.image.content
    assert b"me" not in content.replace(b"xmlns", b"")
    assert b"DOCTYPE" not in content


def test_text_in_fonts_is_pointed_out() -> None:
    [remark] = prepare_logo(drawing("<text>The Lantern</text>")).remarks
    assert "Convert the text to paths" in remark
