"""Which files are taken for images: those that Pillow decodes without the help of another program."""

from functools import cache

from PIL import Image, features

NOT_DECODED = ("EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "IPTC")
"""EPS runs Ghostscript, which runs programs; of the others Pillow knows no more than the head."""
OPTIONAL = {"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}
"""Formats that some builds of Pillow cannot decode."""
COMMON = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
"""Tried first."""
PICTURES_WITHOUT_DECODER = frozenset(
    f".{name}"
    for name in (
        *("heic", "heif", "hif", "jxl", "jxr", "hdp", "svg", "svgz", "eps", "ps", "epsf", "ai", "pdf", "wmf", "emf"),
        *("exr", "hdr", "djvu", "xcf", "kra", "dcm", "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2"),
        *("raf", "orf", "rw2", "pef", "srw", "x3f", "3fr", "iiq", "rwl", "mrw", "erf", "raw"),
    )
)
"""Suffixes of pictures that people have and that Pillow cannot decode."""


@cache
def decoded_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are taken, the common ones first."""
    Image.init()
    missing = {name for name, feature in OPTIONAL.items() if not features.check(feature)}
    usable = [name for name in Image.OPEN if name not in NOT_DECODED and name not in missing]
    return (*(name for name in COMMON if name in usable), *sorted(set(usable) - set(COMMON)))


@cache
def image_suffixes() -> frozenset[str]:
    """Lower-case ends of file names that are taken for images: `.jpg`, `.gif`, `.avif` and so on."""
    taken = set(decoded_formats())
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in taken}
    return frozenset(known - PICTURES_WITHOUT_DECODER)


def name_left_out(suffix: str) -> str:
    """What a file with this suffix is called that is left out."""
    if suffix in PICTURES_WITHOUT_DECODER:
        return f"{suffix} (no decoder)"
    return suffix or "file (without a suffix)"
