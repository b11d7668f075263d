"""The first generation, Qwen-VL and Qwen-VL-Chat of 2023, written for today's transformers.

Its published code needs a transformers of that time and does not run on today's. This package reads the published
checkpoints as they are: their config.json, weights in .bin shards or safetensors under their own names, and
`qwen.tiktoken`. After `import qwenvl_debug` (see `model.registration`) they open like any other, without
`trust_remote_code`, and whatever code lies beside the weights stays unread:

    network = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("Picture 1: <img>" + 256 * "<imgpad>" + "</img>\\nWhich tower is this?", return_tensors="pt")
    pixels = preprocessing.prepare(np.asarray(picture))[None]  # [pictures, 3, 448, 448]
    network.generate(**ids, pixel_values=pixels)
"""
