"""What the headers of some images say, and how bright a sample of their pixels is."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import imagecodecs
import numpy as np
import tifffile
from scipy import ndimage
from skimage.filters import threshold_otsu

from mcvae_ops.archive.ngff import attributes, open_store
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.errors import InputError, TransferError
from mcvae_ops.tiles.zarr_image import ZarrImage

_ROWS = 128  # of a plane, from its middle
_MOST_CHANNELS, _MOST_PIXELS = 100, 1 << 28
_WINDOW_PX = 256  # of an image in OME-Zarr
_MOST_BYTES = 8 << 20  # of one plane
_MICRON = {"µm": 1.0, "um": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
           "nm": 1e-3, "nanometer": 1e-3, "mm": 1e3, "millimeter": 1e3}  # fmt: skip
_LARGEST_TILE_PX = 8192


@dataclass(frozen=True)
class ImageFacts:
    """What an image says of itself.

    Attributes
    ----------
    axes, shape, dtype, codec
        As in the file; the codec by its name.
    pixel_size_um
        None where the file does not say it.
    channels
        Names along the channel axis; empty where the file names none.
    pixels
        A part of each channel, by its place on the channel axis: (y, x).
    origin
        Where pixel size and names were read: ``OME``, ``ImageJ``, ``OME-Zarr``, or "".
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype
    codec: str
    pixel_size_um: float | None
    channels: tuple[str, ...]
    pixels: tuple[np.ndarray, ...]
    origin: str

    def __post_init__(self) -> None:
        if self.n_channels > _MOST_CHANNELS:
            raise ValueError(f"{self.n_channels} channels, at most {_MOST_CHANNELS} are expected")

    @property
    def n_channels(self) -> int:
        """Length of the channel axis."""
        return self.shape[self.axes.index("C")] if "C" in self.axes else 1

    @property
    def z_planes(self) -> int:
        """Length of the axis of focal planes."""
        return self.shape[self.axes.index("Z")] if "Z" in self.axes else 1

    @property
    def is_stitched(self) -> bool:
        """Whether it is larger than any camera's image."""
        return max(self.shape[-2:]) > _LARGEST_TILE_PX


def read_image(listing: Listing, path: str, size_bytes: int) -> ImageFacts:
    """Read the header of an image file, and some rows of each channel; see `read_tiff`."""
    if not path.lower().endswith(".png"):
        return read_tiff(listing, path, size_bytes)
    try:
        with listing.opened(path, size_bytes) as handle:
            content = handle.read(_MOST_BYTES)
        width, height = (int.from_bytes(content[start : start + 4]) for start in (16, 20))
        if width * height > _MOST_PIXELS:  # 2 MB may hold 2 GB of them
            raise ValueError(f"{width} x {height} px")
        pixels = imagecodecs.png_decode(content)
    except (imagecodecs.PngError, ValueError) as error:
        raise InputError(
            where=path, found=f"no PNG that can be read ({error})", expected="an image",
            fix="leave it out",
        ) from None  # fmt: skip
    planes = (pixels,) if pixels.ndim == 2 else ()
    axes = "YXS"[: pixels.ndim]
    return ImageFacts(axes, pixels.shape, pixels.dtype, "png", None, (), planes, "")


def read_tiff(listing: Listing, path: str, size_bytes: int) -> ImageFacts:
    """Read the header of a TIFF file, and some rows of each channel.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with listing.opened(path, size_bytes) as handle, tifffile.TiffFile(handle) as tif:
            series = tif.series[0]
            axes, shape = series.axes, series.shape
            size_um, names, origin = _of_ome(tif) if tif.ome_metadata else _of_imagej(tif)
            page = tif.pages.first
            pixels = tuple(_channels_of(tif, axes, shape))
            codec = getattr(page.compression, "name", str(page.compression)).lower()
            return ImageFacts(axes, shape, np.dtype(series.dtype), codec, size_um, names, pixels,
                              origin)  # fmt: skip
    except Exception as error:  # of damaged files, tifffile raises nearly every kind
        raise InputError(
            where=path, found=f"no TIFF that can be read ({error})", expected="an image",
            fix="leave it out",
        ) from None  # fmt: skip


def read_store(listing: Listing, path: str) -> ImageFacts:
    """Read the metadata of an image in OME-Zarr, and a window of each channel.

    Raises
    ------
    InputError
        If it cannot be read.
    TransferError
        If an archive does not answer.
    """
    try:
        return _facts_of_store(listing, path)
    except (InputError, TransferError):
        raise
    except Exception as error:  # of damaged stores, Zarr raises nearly every kind
        raise InputError(
            where=path, found=f"no OME-Zarr that can be read ({error})", expected="an image",
            fix="leave it out",
        ) from None  # fmt: skip


def _facts_of_store(listing: Listing, path: str) -> ImageFacts:
    address = listing.address(path)
    image = ZarrImage(address, listing.archive)
    store, below = open_store(address, listing.archive)
    said = attributes(store, below)
    scales = said["multiscales"][0]
    units = [a.get("unit", "") for a in scales.get("axes") or [] if isinstance(a, dict)]
    unit = _MICRON.get(units[-1] if units else "")
    size_um = None
    for one in scales["datasets"][0].get("coordinateTransformations", []):
        if one.get("type") == "scale" and unit:
            size_um = float(one["scale"][-1]) * unit
    array, (height, width) = image._array, image.shape[-2:]
    window = tuple(slice(max(0, n // 2 - _WINDOW_PX // 2), n // 2 + _WINDOW_PX // 2)
                   for n in (height, width))  # fmt: skip
    pixels = tuple(image.plane(index, window) for index in _places(image.axes, image.shape))
    compressors = getattr(array, "compressors", ())
    codec = ", ".join(type(one).__name__.lower().removesuffix("codec") for one in compressors)
    if getattr(array, "shards", None):
        codec += f", shards of {array.shards[-1]} px with chunks of {array.chunks[-1]} px"
    return ImageFacts(image.axes, image.shape, np.dtype(image.dtype), codec or "none", size_um,
                      tuple(filter(None, image.channel_names)), pixels, "OME-Zarr")  # fmt: skip


def plate_channels(listing: Listing, store: str) -> tuple[str, ...]:
    """Return the channels that the metadata of a plate name, as the OPS Data Standard has it."""
    said = attributes(*open_store(listing.address(store), listing.archive))
    entries = said.get("channels_metadata")
    if isinstance(entries, dict):
        entries = entries.get("channels", [])
    named = [entry for entry in entries or [] if isinstance(entry, dict) and entry.get("name")]
    return tuple(str(e["name"]) for e in sorted(named, key=lambda e: e.get("index", 0)))


@dataclass(frozen=True)
class Brightness:
    """How bright a sample of pixels is, in counts.

    Attributes
    ----------
    low, high
        0.1 % and 99.9 % of the pixels lie below; the lowest and highest of the channels.
    cofactor, offset, scale
        Of the arcsinh: its cofactor is the noise; the sample lies within -0.9 and 0.7.
    saturated
        Share of the pixels at the largest value that their type has.
    counts
        scale and offset that make counts of floats; None for whole numbers.
    """

    low: float
    high: float
    cofactor: float
    offset: float
    scale: float
    saturated: float
    counts: dict[str, float] | None


def brightness(samples: Sequence[np.ndarray]) -> Brightness | None:
    """Measure some images (y, x); None where there is none.

    The cofactor is the noise of dark pixels (median over the images, at least one count), below
    which the arcsinh is nearly linear, so that noise is not stretched. Offset and scale bring the
    sample into the range of a network that ends in tanh.
    """
    samples = [np.asarray(one) for one in samples if one.size]
    if not samples:
        return None
    counts = None
    if any(one.dtype.kind == "f" for one in samples):
        low = min(float(np.nanmin(one)) for one in samples)
        high = max(float(np.nanmax(one)) for one in samples)
        if low < 0 or high > 65_535 or high - low < 256:
            scale = 10.0 ** math.floor(math.log10(20_000 / max(high - low, 1e-9)))
            counts = {"scale": scale, "offset": max(0.0, math.ceil(-2 * low * scale / 1000) * 1000)}
            samples = [one * counts["scale"] + counts["offset"] for one in samples]
    top = [np.iinfo(one.dtype).max if one.dtype.kind in "ui" else math.inf for one in samples]
    saturated = max(float((one >= t).mean()) for one, t in zip(samples, top, strict=True))
    quantiles = np.array([np.nanquantile(one, [0.001, 0.999]) for one in samples])
    low, high = float(quantiles[:, 0].min()), float(quantiles[:, 1].max())
    cofactor = max(1.0, float(np.median([dark_noise(one) for one in samples])))
    first, last = np.arcsinh(low / cofactor), np.arcsinh(max(high, low + 1) / cofactor)
    scale = (last - first) / 1.6
    return Brightness(low, high, _round(cofactor), _round(first + 0.9 * scale), _round(scale),
                      saturated, counts)  # fmt: skip


def dark_noise(image: np.ndarray) -> float:
    """Return the standard deviation of the noise of an image (y, x) in its darker half.

    From the median absolute difference of neighbours in a row, both below the median of the image.
    """
    image = image.astype(np.float64)
    dark = image <= np.median(image)
    pairs = dark[:, 1:] & dark[:, :-1]
    steps = np.abs(np.diff(image, axis=1))[pairs]
    return 1.4826 * float(np.median(steps)) / math.sqrt(2) if len(steps) else 0.0


def nuclear_diameter_px(image: np.ndarray) -> float | None:
    """Return the diameter of a disc as large as the median bright region; None without regions."""
    bright = image > threshold_otsu(image)
    labels, n = ndimage.label(bright)
    areas = np.bincount(labels.ravel())[1:] if n else np.zeros(0)
    areas = areas[areas >= 30]
    return round(2 * math.sqrt(float(np.median(areas)) / math.pi)) if len(areas) else None


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def _places(axes: str, shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the place of one plane per channel, of the first ones: the middle of other axes."""
    n_channels = shape[axes.index("C")] if "C" in axes[:-2] else 1
    for channel in range(min(n_channels, _MOST_CHANNELS)):
        yield tuple(channel if axis == "C" else n // 2 for axis, n in
                    zip(axes[:-2], shape[:-2], strict=True))  # fmt: skip


def _channels_of(tif: tifffile.TiffFile, axes: str, shape: Sequence[int]) -> Iterator[np.ndarray]:
    if axes[-2:] != "YX":
        return
    for place in _places(axes, shape):
        number = int(np.ravel_multi_index(place, shape[:-2])) if place else 0
        if number < len(tif.pages):
            page = tif.pages[number]
            yield _rows_of(page if isinstance(page, tifffile.TiffPage) else page.aspage(), tif)


def _rows_of(page: tifffile.TiffPage, tif: tifffile.TiffFile) -> np.ndarray:
    """Return the middle rows of a page, by its strips or tiles."""
    height, width = page.shape[-2:]
    if page.is_contiguous and not page.compression > 1:
        first, n = max(0, height // 2 - _ROWS // 2), min(_ROWS, height)
        dtype = page.dtype.newbyteorder(tif.byteorder)
        start = page.dataoffsets[0] + first * width * dtype.itemsize
        return tif.filehandle.read_array(dtype, n * width, start).reshape(n, width)
    sizes, middle = page.databytecounts, len(page.dataoffsets) // 2
    n_wanted = max(1, -(-_ROWS // page.rowsperstrip)) if not page.is_tiled else 2
    parts, came = [], 0
    for k in range(max(0, middle - n_wanted // 2), min(len(sizes), middle + -(-n_wanted // 2))):
        came += sizes[k]
        if came > _MOST_BYTES:
            break
        tif.filehandle.seek(page.dataoffsets[k])
        decoded = page.decode(tif.filehandle.read(sizes[k]), k)[0]
        if decoded is not None:
            parts.append(decoded[0, :, :, 0])
    wide = [part for part in parts if part.shape[1] == parts[0].shape[1]]
    return np.concatenate(wide) if wide else np.zeros((0, 0), page.dtype)


def _of_ome(tif: tifffile.TiffFile) -> tuple[float | None, tuple[str, ...], str]:
    root = ElementTree.fromstring(tif.ome_metadata)
    pixels = next((e for e in root.iter() if e.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None, (), ""
    unit = _MICRON.get(pixels.get("PhysicalSizeXUnit", "µm"))
    size = pixels.get("PhysicalSizeX")
    names = [e.get("Name", "") for e in pixels if e.tag.endswith("}Channel")]
    size_um = float(size) * unit if size and unit else None
    return size_um, tuple(names) if all(names) else (), "OME"


def _of_imagej(tif: tifffile.TiffFile) -> tuple[float | None, tuple[str, ...], str]:
    """Return pixel size and names from ImageJ's description, or from the tags of resolution."""
    said, page = tif.imagej_metadata or {}, tif.pages.first
    resolution = page.tags.valueof("XResolution")
    per_unit = resolution[0] / resolution[1] if resolution and resolution[1] else 0
    unit = _MICRON.get(str(said.get("unit", "")).strip())
    if unit is None and not said and page.tags.valueof("ResolutionUnit") == 3:
        unit = 1e4  # centimetres
    size_um = unit / per_unit if unit and per_unit else None
    if size_um is not None and not 0.02 < size_um < 20:
        size_um = None
    labels = said.get("Labels") or []
    n = said.get("channels", 1)
    names = tuple(labels[:n]) if n > 1 and len(set(labels[:n])) == n else ()
    return size_um and float(f"{size_um:.6g}"), names, "ImageJ" if said else "TIFF tags"


def agreed(facts: Sequence[ImageFacts], name: str) -> tuple[object, bool]:
    """Return the most frequent value of some images, and whether all have it."""
    counts = Counter(getattr(one, name) for one in facts)
    return counts.most_common(1)[0][0], len(counts) == 1
