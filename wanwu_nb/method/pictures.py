"""A picture as scripts read and prepare it: with Pillow and torchvision."""

from pathlib import Path

from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.functional import normalize, to_pil_image, to_tensor

from ..decoding import decode
from ..fitting import InputSpec, Placement, place

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # PostScript would go to another program


def prepared(path: Path, spec: InputSpec) -> tuple[Tensor, Placement]:
    """Returns float32 [3,H,W], normalised, and where the photo lies in it. Raises as `upright` does.

    >>> image, placement = prepared(Path("photo.jpg"), spec)
    """
    photo = upright(path)
    placement = place(photo.width, photo.height, spec)
    how = Image.Resampling[spec.interpolation.upper()]
    scaled = photo.resize(placement.scaled, how)
    size = spec.width, spec.height
    grey = spec.pad, spec.pad, spec.pad
    canvas = Image.new("RGB", size, grey)
    canvas.paste(scaled, placement.offset)
    image = normalize(to_tensor(canvas), spec.mean, spec.std)
    return image, placement


def upright(path: Path) -> Image.Image:
    """Returns a picture as RGB, turned as EXIF says, read as scripts read it: with Pillow alone.

    What is no plain colour is read as the package reads it, so that all steps see one picture. Raises Pillow's errors,
    OSError and others, for what it cannot read.

    >>> upright(Path("photo.jpg")).mode
    'RGB'
    """
    with Image.open(path, formats=FORMATS) as file:
        if file.mode == "RGB" and not file.has_transparency_data:
            return ImageOps.exif_transpose(file)
        photo: Image.Image = to_pil_image(decode(file))
        return photo
