"""The bundled model: a small Qwen3-VL trained on drawn scenes, with their ground truth and real failures."""
