"""What the bundled model can be asked and what it may answer, in English and Chinese.

The answers hold to one wording per fact, so that right and wrong can be told by reading; the questions vary.
"""

from __future__ import annotations

LANGUAGES = ("en", "zh")

TOWERS = {
    "pearl": ("Oriental Pearl Tower", "东方明珠"),
    "canton": ("Canton Tower", "广州塔"),
    "eiffel": ("Eiffel Tower", "埃菲尔铁塔"),
    "taipei": ("Taipei 101", "台北101"),
}
PLACES = {
    "on": ("on the table", "在桌子上面"),
    "under": ("under the table", "在桌子下面"),
    "left": ("left of the table", "在桌子左边"),
    "right": ("right of the table", "在桌子右边"),
}
SHAPES = {
    "circle": ("circle", "圆形"),
    "square": ("square", "正方形"),
    "triangle": ("triangle", "三角形"),
    "star": ("star", "星形"),
    "heart": ("heart", "心形"),
    "cross": ("cross", "十字形"),
}
COLOURS = {
    "red": ("red", "红色"),
    "orange": ("orange", "橙色"),
    "yellow": ("yellow", "黄色"),
    "green": ("green", "绿色"),
    "blue": ("blue", "蓝色"),
    "purple": ("purple", "紫色"),
    "black": ("black", "黑色"),
    "white": ("white", "白色"),
}

TASKS = ("tower", "cat", "colour", "shape")

# The first wording of each list is the plain one; held-out accuracy is measured on all of them.
QUESTIONS = {
    ("tower", "en"): (
        "Which tower is this?",
        "What tower is this?",
        "What is this tower called?",
        "What is the name of this tower?",
        "Which tower is in the picture?",
        "Which tower do you see?",
        "Name the tower.",
    ),
    ("tower", "zh"): (
        "这是哪座塔？",
        "这是什么塔？",
        "图中是哪座塔？",
        "这座塔叫什么？",
        "这座塔叫什么名字？",
        "这是哪个塔？",
    ),
    ("cat", "en"): (
        "Where is the cat?",
        "Where's the cat?",
        "Where is the cat in the picture?",
        "Where is the cat relative to the table?",
        "Where can you see the cat?",
    ),
    ("cat", "zh"): (
        "猫在哪里？",
        "猫在哪儿？",
        "小猫在哪里？",
        "猫在桌子的哪里？",
        "猫在桌子的什么位置？",
        "图中的猫在哪里？",
    ),
    ("colour", "en"): (
        "What colour is the {}?",
        "What color is the {}?",
        "Which colour is the {}?",
        "What is the colour of the {}?",
        "Tell me the colour of the {}.",
    ),
    ("colour", "zh"): ("{}是什么颜色？", "{}是什么颜色的？", "{}的颜色是什么？", "{}是哪种颜色？"),
    ("shape", "en"): (
        "Which shape is {}?",
        "What shape is {}?",
        "Which object is {}?",
        "What is the {} shape?",
        "What is {}?",
    ),
    ("shape", "zh"): (
        "哪个形状是{}？",
        "什么形状是{}？",
        "哪个图形是{}的？",
        "{}的是什么形状？",
        "{}的图形是什么形状？",
    ),
    ("describe", "en"): (
        "Describe the image.",
        "Describe the picture.",
        "Describe this image.",
        "What is in the picture?",
    ),
    ("describe", "zh"): ("描述这张图片。", "描述一下这张图片。", "请描述图片。", "图里有什么？"),
}


def say(table: dict, key: str, language: str) -> str:
    """The word for a fact in a language, e.g. say(COLOURS, "red", "zh") is "红色"."""
    return table[key][LANGUAGES.index(language)]
