"""Make a drawing safe to serve: only what draws is kept, by a list of allowed elements and attributes.

Pages and box show it as an image, in which browsers run no script and load no file. The copy that we serve has
neither, so that it is harmless as a page of its own, and in programs that are less careful.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
MAX_ELEMENTS, MAX_DEPTH = 5000, 60
ELEMENTS = _names("""
    svg g defs symbol use switch title desc style path rect circle ellipse line polyline polygon text tspan
    textPath linearGradient radialGradient stop clipPath mask pattern marker filter feBlend feColorMatrix
    feComponentTransfer feComposite feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge
    feMergeNode feMorphology feOffset feTile feTurbulence feDiffuseLighting feSpecularLighting feDistantLight
    fePointLight feSpotLight
""")
GEOMETRY_ATTRIBUTES = _names("""
    id class href viewBox preserveAspectRatio x y x1 y1 x2 y2 cx cy r rx ry fx fy fr width height d points
    transform pathLength gradientUnits gradientTransform spreadMethod offset clipPathUnits maskUnits
    maskContentUnits patternUnits patternContentUnits patternTransform markerUnits markerWidth markerHeight refX
    refY orient dx dy rotate textLength lengthAdjust startOffset method spacing side role aria-hidden aria-label
    aria-labelledby lang type media version
""")
FILTER_ATTRIBUTES = _names("""
    filterUnits primitiveUnits in in2 result mode values operator k1 k2 k3 k4 stdDeviation edgeMode radius
    tableValues slope intercept amplitude exponent baseFrequency numOctaves seed stitchTiles surfaceScale
    diffuseConstant specularConstant specularExponent azimuth elevation z pointsAtX pointsAtY pointsAtZ
    limitingConeAngle
""")
PRESENTATION_ATTRIBUTES = _names("""
    style fill fill-opacity fill-rule stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin
    stroke-miterlimit stroke-opacity stroke-width color opacity display visibility overflow clip clip-path
    clip-rule mask mask-type filter flood-color flood-opacity lighting-color stop-color stop-opacity marker
    marker-start marker-mid marker-end color-interpolation color-interpolation-filters color-rendering
    shape-rendering text-rendering image-rendering paint-order vector-effect mix-blend-mode isolation
    transform-origin font-family font-size font-size-adjust font-stretch font-style font-variant font-weight
    letter-spacing word-spacing text-anchor text-decoration dominant-baseline alignment-baseline baseline-shift
    direction unicode-bidi writing-mode
""")
ATTRIBUTES = GEOMETRY_ATTRIBUTES | FILTER_ATTRIBUTES | PRESENTATION_ATTRIBUTES
# What editors add for themselves, which nobody misses.
EDITOR_DATA = _names("metadata namedview sfw pgf")
LOCAL_URL = re.compile(r"""url\(\s*(["']?)#[\w.:-]+\1\s*\)""", re.IGNORECASE)
# A backslash can spell any of the others differently.
UNSAFE_VALUE = re.compile(
    r"\\|url\(|image\(|image-set\(|src\(|javascript:|data:|expression\(|@import", re.IGNORECASE
)
AT_RULE = re.compile(r"@(?!media\b)[\w-]*", re.IGNORECASE)
LENGTH = re.compile(r"(\d*\.?\d+)(px)?")
NUMBER = r"[-+]?\d*\.?\d+(?:e[-+]?\d+)?"
VIEW_BOX = re.compile(rf"\s*({NUMBER})[\s,]+({NUMBER})[\s,]+({NUMBER})[\s,]+({NUMBER})\s*", re.IGNORECASE)


class SvgRefused(Exception):
    """A file is no drawing that can be made safe; the message says why."""


@dataclass
class CleanSvg:
    """A safe drawing, its proportions, and the names of what was removed with their number."""

    root: Element
    width: float
    height: float
    removed: Counter[str] = field(default_factory=Counter)

    @property
    def has_text(self) -> bool:
        """Whether letters are drawn with fonts, which are not the same on every device."""
        return any(element.tag == "text" for element in self.root.iter())

    def content(self, width: int, height: int) -> bytes:
        """Return the file, at this size."""
        self.root.attrib |= {"xmlns": SVG[1:-1], "width": str(width), "height": str(height)}
        text: str = tostring(self.root, encoding="unicode")
        return text.encode()


def clean_svg(content: bytes) -> CleanSvg:
    """Return a copy with only the elements, attributes and values that are known to be safe.

    Raises:
        SvgRefused: it cannot be read, or would not look the same without what is not safe.
    """
    try:
        source = fromstring(content.decode("utf-8-sig"), forbid_dtd=False)
    except UnicodeDecodeError as error:
        raise SvgRefused("It is not in UTF-8.") from error
    except DefusedXmlException as error:
        raise SvgRefused("It defines entities, which can hide anything. Export it as plain SVG.") from error
    except (ParseError, ValueError) as error:
        raise SvgRefused(f"It is not readable as XML: {error}.") from error
    if source.tag != f"{SVG}svg":
        raise SvgRefused('Its root is not <svg xmlns="http://www.w3.org/2000/svg">.')
    _check_size(source)
    width, height = _proportions(source)
    clean = CleanSvg(Element("svg"), width, height)
    clean.root = _copy(source, clean.removed)
    clean.root.set("viewBox", source.get("viewBox") or f"0 0 {width:g} {height:g}")
    _remove_nested_uses(clean)
    return clean


def _check_size(source: Element) -> None:
    count, level = 0, [source]
    for _ in range(MAX_DEPTH):
        count += len(level)
        level = [child for element in level for child in element]
        if not level:
            break
    if level or count > MAX_ELEMENTS:
        raise SvgRefused(f"It has more than {MAX_ELEMENTS} parts, or more than {MAX_DEPTH} inside one another.")


def _proportions(source: Element) -> tuple[float, float]:
    view_box = VIEW_BOX.fullmatch(source.get("viewBox", ""))
    lengths = [LENGTH.fullmatch(source.get(name, "")) for name in ("width", "height")]
    if view_box:
        width, height = float(view_box[3]), float(view_box[4])
    elif "viewBox" not in source.attrib and lengths[0] and lengths[1]:
        width, height = float(lengths[0][1]), float(lengths[1][1])
    else:
        raise SvgRefused('It has no size: give <svg> a viewBox, such as viewBox="0 0 320 64".')
    if not (width > 0 and height > 0):
        raise SvgRefused("Its size is zero.")
    return width, height


def _copy(source: Element, removed: Counter[str]) -> Element:
    tag = source.tag.removeprefix(SVG)
    # What a link is around is drawn like a group.
    copy = Element("g" if tag == "a" else tag, dict(_attributes(source, removed)))
    copy.text, copy.tail = source.text, source.tail
    if tag == "style" and ((text := "".join(source.itertext())) and (reason := _css_error(text))):
        raise SvgRefused(f"Its <style> {reason}.")
    for child in source:
        name = child.tag.removeprefix(SVG)
        is_drawn = child.tag != name and (name in ELEMENTS or name == "a")
        if is_drawn:
            copy.append(_copy(child, removed))
        local_name = name.rpartition("}")[2]
        if (not is_drawn and local_name not in EDITOR_DATA) or name == "a":
            removed[f"<{local_name}>"] += 1
    return copy


def _attributes(source: Element, removed: Counter[str]) -> Iterator[tuple[str, str]]:
    is_root = source.tag == f"{SVG}svg" and "viewBox" in source.attrib
    for written_name, value in source.items():
        name = "href" if written_name == f"{XLINK}href" else written_name
        if is_root and name in ("width", "height"):
            continue
        if name not in ATTRIBUTES or not _is_safe(name, value):
            # Attributes of other namespaces are an editor's own.
            if "}" not in name or name.startswith(XLINK):
                removed[name.rpartition("}")[2]] += 1
        else:
            yield name, value


def _is_safe(name: str, value: str) -> bool:
    if name == "href":
        return re.fullmatch(r"#[\w.:-]+", value) is not None
    return _css_error(value) is None if name == "style" else not UNSAFE_VALUE.search(LOCAL_URL.sub("", value))


def _css_error(text: str) -> str | None:
    bare = LOCAL_URL.sub("", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    if at_rule := AT_RULE.search(bare):
        return f"has {at_rule[0]}, and only @media is possible"
    if found := UNSAFE_VALUE.search(bare):
        return f"has {found[0]}, which can refer to other files"
    return None


def _remove_nested_uses(clean: CleanSvg) -> None:
    """Remove each <use> of what has a <use> itself: a few lines of those can stand for billions of shapes."""
    by_id = {element.get("id"): element for element in clean.root.iter() if element.get("id")}
    for parent in list(clean.root.iter()):
        for child in list(parent):
            target = by_id.get(child.get("href", "").removeprefix("#")) if child.tag == "use" else None
            if target is not None and any(inner.tag == "use" for inner in target.iter()):
                parent.remove(child)
                clean.removed["<use>"] += 1
