"""Compares pictures that resources have made with Pillow's own: `pictures.py TASK …`. Prints the differences.

    photo JPEG PNG               makes a PNG of a photograph
    decode FILE                  says what a picture is
    resized SOURCE RESULT        RESULT is SOURCE resized with Lanczos, by Pillow too
"""

import json, sys

from PIL import Image, ImageChops, ImageStat


def photo(source, target):
    Image.open(source).convert("RGB").save(target)
    return {}


def decode(path):
    picture = Image.open(path)
    picture.load()
    return {"format": picture.format, "mode": picture.mode, "size": picture.size}


def resized(source, result):
    result = Image.open(result).convert("RGB")
    wanted = Image.open(source).convert("RGB").resize(result.size, Image.Resampling.LANCZOS)
    difference = ImageStat.Stat(ImageChops.difference(wanted, result))
    plain = ImageStat.Stat(ImageChops.difference(wanted, Image.new("RGB", wanted.size)))
    return {"size": result.size, "mean": max(difference.mean), "most": max(high for _, high in difference.extrema),
            "mean_of_black": max(plain.mean)}


task, *arguments = sys.argv[1:]
print(json.dumps({"photo": photo, "decode": decode, "resized": resized}[task](*arguments)))
