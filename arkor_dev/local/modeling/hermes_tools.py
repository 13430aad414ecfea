"""Tools for chat templates that know none, such as SmolLM2's, and for base models without a template.

The syntax is that of Hermes, which Qwen's templates have, too: tools and an example in the system message,
each call as JSON between ``<tool_call>`` and ``</tool_call>``, results in a message of the user.
"""

from __future__ import annotations

from typing import Final

HERMES_TOOLS: Final = """\
{%- set tooled = namespace(messages=[], system='', text='') -%}
{%- if tools -%}
    {%- set tooled.system = 'You can call these tools:' -%}
    {%- for tool in tools -%}
        {%- set tooled.system = tooled.system + '\n' + ((tool.function or tool) | tojson) -%}
    {%- endfor -%}
    {%- set tooled.system = tooled.system + '\nTo call one, write its name and arguments:\n<tool_call>\n'
        + '{"name": "tool", "arguments": {"argument": "value"}}\n</tool_call>' -%}
    {%- if not messages or messages[0].role != 'system' -%}
        {%- set tooled.messages = [{'role': 'system', 'content': tooled.system}] -%}
    {%- endif -%}
{%- endif -%}
{%- for message in messages -%}
    {%- if message.role == 'tool' -%}
        {%- set tooled.text = tooled.text + ('\n' if tooled.text else '')
            + '<tool_response>\n' + (message.content | string) + '\n</tool_response>' -%}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}
            {%- set tooled.messages = tooled.messages + [{'role': 'user', 'content': tooled.text}] -%}
            {%- set tooled.text = '' -%}
        {%- endif -%}
    {%- elif message.tool_calls -%}
        {%- set tooled.text = message.content or '' -%}
        {%- for call in message.tool_calls -%}
            {%- set function = call.function or call -%}
            {%- set arguments = function.arguments -%}
            {%- set tooled.text = tooled.text + ('\n' if tooled.text else '')
                + '<tool_call>\n{"name": ' + (function.name | tojson) + ', "arguments": '
                + (arguments if arguments is string else (arguments | tojson)) + '}\n</tool_call>' -%}
        {%- endfor -%}
        {%- set tooled.messages = tooled.messages + [{'role': message.role, 'content': tooled.text}] -%}
        {%- set tooled.text = '' -%}
    {%- elif loop.first and tools and message.role == 'system' -%}
        {%- set tooled.messages = [
            {'role': 'system', 'content': message.content + '\n\n' + tooled.system}] -%}
    {%- else -%}
        {%- set tooled.messages = tooled.messages + [message] -%}
    {%- endif -%}
{%- endfor -%}
{%- set messages = tooled.messages -%}
"""
"""Put before a template. A conversation without tools and calls stays as it is."""
