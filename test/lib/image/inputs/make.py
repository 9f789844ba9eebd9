"""Makes the pictures of this folder, and in pillow.json what Pillow reads of them, upright and as RGB.

Run with Pillow 13 in this folder: the same picture (left half red, lower right corner blue) as a phone, a scanner, a
browser or a camera writes it.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

picture = Image.new("RGB", (24, 16), "white")
draw = ImageDraw.Draw(picture)
draw.rectangle((0, 0, 11, 15), fill="red")
draw.rectangle((18, 12, 23, 15), fill="blue")

turned = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}
for orientation, turn in turned.items():
    exif = Image.Exif()
    exif[0x112] = orientation
    turn(picture).save(f"exif{orientation}.png", exif=exif)
exif = Image.Exif()
exif[0x112] = 6
turned[6](picture).save("exif6.jpg", quality=95, exif=exif)
turned[6](picture).save("exif6.webp", lossless=True, exif=exif)

picture.save("plain.jpg", quality=95)
picture.save("progressive.jpg", quality=95, progressive=True)
picture.convert("L").save("grey.jpg", quality=95)
whole = Path("plain.jpg").read_bytes()
Path("trailing.jpg").write_bytes(whole + b"a film, as cameras write it" + whole[:40])
picture.convert("P", palette=Image.Palette.ADAPTIVE).save("palette.png")
picture.quantize(4).save("palette2.png", bits=2)
picture.convert("1").save("onebit.png")
picture.convert("LA").save("grey-alpha.png")
see_through = picture.convert("RGBA")
see_through.putalpha(128)
see_through.save("rgba.png")
picture.save("lossless.webp", lossless=True)
picture.save("lossy.webp", quality=95)
see_through.save("alpha.webp", lossless=True, exact=True)
Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save("grey16.png")
picture.convert("CMYK").save("refused-cmyk.jpg", quality=95)
for kind in ("bmp", "gif", "tiff"):
    picture.resize((3, 2)).save(f"refused.{kind}")

read = {}
for path in sorted(Path().iterdir()):
    if path.suffix in (".png", ".jpg", ".webp") and "refused" not in path.name:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        read[path.name] = {
            "width": image.width,
            "height": image.height,
            "pixels": np.asarray(image).tobytes().hex(),
        }
# Pillow cuts sixteen bits of grey off at 255 and gives white; the upper eight bits are the picture.
grey = np.asarray(picture.convert("L").convert("RGB"))
read["grey16.png"]["pixels"] = grey.tobytes().hex()
Path("pillow.json").write_text(json.dumps(read, indent=1) + "\n")
