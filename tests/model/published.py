"""Chat templates that do to words what the published ones of each generation do, told again in words of our own.

Qwen2-VL and Qwen2.5-VL write a system prompt of their own where there is none. Those of Qwen3-VL write none; Thinking
splits answers at `</think>`, drops the thoughts of those before the last question and opens thoughts for the next.
Qwen3.5 trims all words, refuses what it does not expect, and has a switch for thinking.
"""

_PART = """\
{%- macro written(content, system=false) -%}
{%- if content is string -%}{{ content }}
{%- else -%}
{%- for part in content -%}
{%- if part.type == 'image' or 'image_url' in part -%}
{%- if system and strict -%}{{ raise_exception('A system prompt shows no images.') }}{%- endif -%}
{%- set seen.images = seen.images + 1 -%}
{%- if add_vision_id -%}{{ 'Picture ' ~ seen.images ~ ': ' }}{%- endif -%}
{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif part.type == 'video' -%}
{%- set seen.videos = seen.videos + 1 -%}
{%- if add_vision_id -%}{{ 'Video ' ~ seen.videos ~ ': ' }}{%- endif -%}
{{ '<|vision_start|><|video_pad|><|vision_end|>' }}
{%- elif 'text' in part -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
"""
_SEEN = "{%- set seen = namespace(images=0, videos=0, query=messages|length - 1, looking=true) -%}\n"
_TOOLS = """\
{%- if tools -%}
{{ '<|im_start|>system\\n# Tools\\n<tools>' }}
{%- for tool in tools -%}{{ '\\n' + (tool | tojson) }}{%- endfor -%}
{{ '\\n</tools><|im_end|>\\n' }}
{%- endif -%}
"""
_EVERY = "{%- for message in messages -%}\n"
_TURN = "{{ '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}\n"
_LAST_QUERY = """\
{%- for message in messages[::-1] -%}
{%- if seen.looking and message.role == 'user' -%}
{%- set content = written(message.content) | trim -%}
{%- if not (content.startswith('<tool_response>') and content.endswith('</tool_response>')) -%}
{%- set seen.looking = false -%}
{%- set seen.query = messages|length - 1 - loop.index0 -%}
{%- endif -%}
{%- endif -%}
{%- endfor -%}
{%- set seen.images = 0 -%}{%- set seen.videos = 0 -%}
"""
_SPLIT = """\
{%- set thoughts = message.reasoning_content if message.reasoning_content is string else '' -%}
{%- if not thoughts and '</think>' in content -%}
{%- set thoughts = content.split('</think>')[0].split('<think>')[-1].strip('\\n') -%}
{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}
{%- endif -%}
{%- if loop.index0 > seen.query and (strict or loop.last or thoughts) -%}
{%- set content = '<think>\\n' + thoughts + '\\n</think>\\n\\n' + content -%}
{%- endif -%}
"""
_ANSWER = "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}"

QWEN2_VL = (
    _SEEN
    + _PART
    + _EVERY
    + "{%- if loop.first and message.role != 'system' -%}"
    + "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{%- endif -%}"
    + "{%- set content = written(message.content) -%}"
    + _TURN
    + "{%- endfor -%}\n"
    + _ANSWER
    + "{%- endif -%}"
)
QWEN3_VL_INSTRUCT = (
    _SEEN
    + _PART
    + _TOOLS
    + _EVERY
    + "{%- set content = written(message.content) -%}"
    + _TURN
    + "{%- endfor -%}\n"
    + _ANSWER
    + "{%- endif -%}"
)
QWEN3_VL_THINKING = (
    _SEEN
    + _PART
    + _TOOLS
    + _LAST_QUERY.replace(" | trim", "")
    + _EVERY
    + "{%- set content = written(message.content) -%}"
    + "{%- if message.role == 'assistant' -%}"
    + _SPLIT
    + "{%- endif -%}"
    + _TURN
    + "{%- endfor -%}\n"
    + _ANSWER
    + "{{ '<think>\\n' }}{%- endif -%}"
)
QWEN3_5 = (
    "{%- set strict = true -%}\n"
    + _SEEN
    + _PART
    + _TOOLS
    + _LAST_QUERY
    + "{%- if seen.looking -%}{{ raise_exception('Nobody asks anything.') }}{%- endif -%}"
    + _EVERY
    + "{%- if message.role not in ('system', 'user', 'assistant') -%}"
    + "{{ raise_exception('Unexpected role.') }}{%- endif -%}"
    + "{%- if message.role == 'system' and not loop.first -%}"
    + "{{ raise_exception('A system prompt comes first.') }}{%- endif -%}"
    + "{%- set content = written(message.content, message.role == 'system') | trim -%}"
    + "{%- if message.role == 'assistant' -%}"
    + _SPLIT
    + "{%- endif -%}"
    + _TURN
    + "{%- endfor -%}\n"
    + _ANSWER
    + "{%- if enable_thinking is defined and enable_thinking is false -%}{{ '<think>\\n\\n</think>\\n\\n' }}"
    + "{%- else -%}{{ '<think>\\n' }}{%- endif -%}{%- endif -%}"
)

PUBLISHED = {
    "Qwen2-VL": ("qwen2_vl", QWEN2_VL),
    "Qwen2.5-VL": ("qwen2_5_vl", QWEN2_VL),
    "Qwen3-VL Instruct": ("qwen3_vl", QWEN3_VL_INSTRUCT),
    "Qwen3-VL Thinking": ("qwen3_vl", QWEN3_VL_THINKING),
    "Qwen3.5": ("qwen3_5", QWEN3_5),
}
"""By name, the `model_type` and the template."""
