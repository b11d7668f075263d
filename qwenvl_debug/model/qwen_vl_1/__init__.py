"""The first generation, Qwen-VL and Qwen-VL-Chat of 2023, written for today's transformers.

Its published code needs a transformers of that time and does not run on today's. This package reads the published
checkpoints as they are: their config.json, weights in .bin shards or safetensors under their own names, and
`qwen.tiktoken`. After `import qwenvl_debug` (see `model.registration`),

    AutoModelForCausalLM.from_pretrained(folder)

gives this model, without `trust_remote_code` and whatever code lies beside the weights.
"""
