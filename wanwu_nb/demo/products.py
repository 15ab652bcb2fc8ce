"""The twenty products of the demo, drawn as SVG by our own code; the class id is the place in `PRODUCTS`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from . import clothing, electronics, food, home
from .paint import picture_of


@dataclass(frozen=True)
class Product:
    """One kind of product: Chinese label, category, and the function that draws one with random colours and shape."""

    name: str
    category: str
    draw: Callable[[np.random.Generator], str]


PRODUCTS = (
    Product("T恤", "服装", clothing.t_shirt),
    Product("连衣裙", "服装", clothing.dress),
    Product("牛仔裤", "服装", clothing.jeans),
    Product("运动鞋", "服装", clothing.sneaker),
    Product("棒球帽", "服装", clothing.cap),
    Product("手机", "3C", electronics.phone),
    Product("笔记本电脑", "3C", electronics.laptop),
    Product("头戴耳机", "3C", electronics.headphones),
    Product("智能手表", "3C", electronics.watch),
    Product("相机", "3C", electronics.camera),
    Product("台灯", "家居", home.desk_lamp),
    Product("椅子", "家居", home.chair),
    Product("马克杯", "家居", home.mug),
    Product("花瓶", "家居", home.vase),
    Product("挂钟", "家居", home.clock),
    Product("苹果", "食品", food.apple),
    Product("面包", "食品", food.bread),
    Product("牛奶盒", "食品", food.milk),
    Product("甜甜圈", "食品", food.doughnut),
    Product("汽水罐", "食品", food.soda),
)


def render(product: Product, rng: np.random.Generator, size: int) -> Image.Image:
    """Draw one product as RGBA, cut to what is visible, its longest side `size` pixels."""
    canvas = max(16, round(size * 1.15))
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" width="{canvas}" height="{canvas}">'
    image = cut_to_visible(picture_of(f"{opening}{product.draw(rng)}</svg>"))
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def cut_to_visible(image: Image.Image) -> Image.Image:
    """Returns an RGBA picture without its transparent rim."""
    solid = image.getchannel("A").point(_all_or_nothing)
    return image.crop(solid.getbbox())


def _all_or_nothing(alpha: int) -> int:
    if alpha > 8:
        return 255
    return 0
